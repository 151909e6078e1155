"""One row a class of fault."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from drills.catalogue import CATALOGUE
from drills.promises import Promise
from drills.results import Machine, Result
from drills.rollup import CLASSES, HEADINGS, class_of, rollup
from tests.unit.drills.test_report import outcome, unfinished

LATER = datetime(2026, 1, 3, tzinfo=UTC)


def cells(results: list[Result], name: str) -> dict[str, str]:
    headings, *rows = rollup(results).table()
    return dict(zip(headings, next(row for row in rows if row[0] == name), strict=True))


def test_each_drill_is_in_the_class_of_its_fault() -> None:
    found = {name: class_of(name) for name in CATALOGUE}
    assert None not in found.values()
    by_name = {one.name: {drill for drill, of in found.items() if of == one} for one in CLASSES}
    assert by_name["database: planned switchover"] == {"db-switchover"}
    assert by_name["monitor, NAT gateway"] >= {"monitor-kill", "nat-power-loss", "monitor-and-standby-power-loss"}
    assert by_name["change of configuration or release"] == {name for name, one in CATALOGUE.items() if one.change}
    assert by_name["backups and restores"] == {name for name, one in CATALOGUE.items() if one.recovery}
    assert by_name["loss of a zone"] == {"zone-power-loss", "zone-network-cut"}
    assert all(by_name.values())


@pytest.mark.parametrize("promise", {drill.promise.text: drill.promise for drill in CATALOGUE.values()}.values())
def test_the_guides_figure_in_seconds_is_the_one_in_words(promise: Promise) -> None:
    if promise.guide_s is None:
        assert promise.guide == "not covered"
        return
    named = re.match(r"< (\d+) (s|min)", promise.guide)
    assert named
    assert promise.guide_s == int(named[1]) * {"s": 1, "min": 60}[named[2]]


def test_all_classes_are_there_also_without_a_run() -> None:
    headings, *rows = rollup([outcome(4.0)]).table()
    assert headings == HEADINGS
    assert [row[0] for row in rows] == [one.name for one in CLASSES]
    assert cells([outcome(4.0)], "Redis") == {
        **dict.fromkeys(HEADINGS, ""),
        "class of fault": "Redis",
        "the guide": "not covered",
        "promise": "0 failed requests, sessions back within 5 s",
        "runs": "0",
    }


def test_a_row_says_median_worst_lost_and_kept_over_all_drills_of_the_class() -> None:
    runs: list[Result] = [outcome(4.0), outcome(5.0, fault="db-hang"), outcome(9.0, fault="db-kill", lost=2)]
    row = cells([*runs, unfinished("no primary")], "database: crash, hang, partition")
    assert (row["runs"], row["median"], row["worst"], row["lost"]) == ("4", "5.0 s", "9.0 s", "2")
    assert row["kept"] == "2 of 4, 1 without an outcome"


def test_where_the_promise_limits_the_slowest_answer_that_is_the_figure() -> None:
    row = cells([outcome(1.2, fault="db-switchover", max_latency_s=3.4)], "database: planned switchover")
    assert row["worst"] == "3.4 s"


def test_a_single_cache_has_a_promise_of_its_own_which_has_a_note() -> None:
    drill = CATALOGUE["change-config-cache"]
    assert drill.promise_alone is not None
    runs: list[Result] = [
        outcome(1.0, fault=drill.name, promise=promise.text) for promise in (drill.promise, drill.promise_alone)
    ]
    assert rollup(runs).notes()[0] == f"¹ `change-config-cache`: {drill.promise_alone.text}."


def test_another_promise_within_the_class_has_a_note_and_marks_the_worst_run_if_it_is_under_it() -> None:
    stalled = outcome(11.6, fault="db-disk-stall", kept=True, broken=())
    found = rollup([outcome(4.0), stalled])
    row = cells([outcome(4.0), stalled], "database: crash, hang, partition")
    assert row["promise"].endswith(" ¹")
    assert row["worst"] == "11.6 s ¹"
    assert found.notes()[0] == "¹ `db-disk-stall`: writable again within 15 s."
    assert cells([outcome(14.0), stalled], "database: crash, hang, partition")["worst"] == "14.0 s"


def test_the_95th_percentile_is_judged_for_each_drill_and_machine() -> None:
    slow: list[Result] = [*(outcome(4.0) for _ in range(9)), outcome(6.0)]
    other = Machine(cpus=4, memory_mib=8000, kernel="6.2")
    quick: list[Result] = [outcome(4.0, machine=other) for _ in range(10)]
    few: list[Result] = [outcome(7.0, fault="db-hang") for _ in range(9)]
    row = cells([*slow, *quick, *few], "database: crash, hang, partition")
    assert row["kept"] == "29 of 29, p95 in 1 of 2"


def test_what_is_not_counted_is_said() -> None:
    fixed = outcome(2.0, since_fixed=24, lost=5, kept=False)
    old = outcome(3.0, timers={"primary_demote_ms": 5000}, kept=False)
    short = outcome(1.0, fault="soak", held_s=90.0, at=LATER)
    found = rollup([fixed, old, outcome(4.0, at=LATER), short])
    assert [len(row.results) for row in found.rows if row.results] == [1]
    assert found.notes()[-1] == (
        "Not counted: 1 run with a broken promise whose cause is since fixed (1 of them lost 5 acknowledged writes); "
        "1 run with other timers; 1 run cut short."
    )

"""Table and page from results."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from drills.catalogue import CATALOGUE
from drills.report import markdown, page
from drills.results import Machine, Outcome, Timeline, Unfinished, keep, kept_results
from drills.svg import timeline_svg
from spec.errors import HaError


def outcome(outage_s: float, **changes: object) -> Outcome:
    kept = outage_s <= 8
    line = Timeline(
        bin_s=0.25,
        good=(5, 0, 5),
        failed=(0, 5, 0),
        max_latency_s=(0.1, 2.5, 0.1),
        accepting={"db1": ((-1.0, 0.1),), "db2": ((0.5, 0.7),)},
        healed_s=0.5,
    )
    values: dict[str, object] = {
        "fault": "db-power-loss",
        "target": "db1",
        "outage_s": outage_s,
        "read_outage_s": 1.0,
        "requests": 15,
        "failed": 5,
        "failed_reads": 2,
        "failed_idempotent": 4,
        "max_latency_s": 2.5,
        "acknowledged": 5,
        "lost": 0,
        "doubled": 0,
        "unanswered": 0,
        "two_primaries": False,
        "redundant_again_s": 9.0,
        "promise": "within 8 s",
        "kept": kept,
        "broken": () if kept else ("late <",),
        "stack": "dev",
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "commit": "abc",
        "machine": Machine(cpus=2, memory_mib=8000, kernel="6.1"),
        "timers": {},
        "timeline": line,
    }
    return Outcome.model_validate({**values, **changes})


def test_a_row_says_the_spread_and_how_many_runs_kept_the_promise() -> None:
    runs = [outcome(4.0), outcome(6.0), outcome(9.0)]
    row = markdown(runs).splitlines()[2]
    assert "| db-power-loss | 3 | 4.0 s | 6.0 s | 9.0 s | 9.0 s |" in row
    assert row.endswith("| 2 of 3 |")
    assert markdown([*runs, *[outcome(4.0)] * 7]).splitlines()[2].endswith("| 9 of 10, p95 broken |")


def unfinished(why: str) -> Unfinished:
    like = outcome(1.0, at=datetime(2026, 1, 4, tzinfo=UTC)).model_dump(include=set(Unfinished.model_fields))
    return Unfinished.model_validate({**like, "kept": False, "unfinished": why})


def test_a_run_without_an_outcome_is_shown_and_kept_no_promise() -> None:
    assert markdown([outcome(4.0), unfinished("x")]).splitlines()[2].endswith("| 1 of 2, 1 without an outcome |")
    alone = markdown([unfinished("x")]).splitlines()[2]
    assert alone.startswith("| db-power-loss | 1 |")
    assert alone.endswith("| 0 of 1, 1 without an outcome |")
    assert alone.count("|") == markdown([outcome(4.0)]).splitlines()[2].count("|")
    assert "no primary &lt;" in page([unfinished("no primary <")])


def test_machines_are_not_mixed_in_one_row() -> None:
    one = outcome(9.0)
    other = outcome(4.0, at=datetime(2026, 1, 3, tzinfo=UTC), machine=Machine(cpus=2, memory_mib=8000, kernel="6.2"))
    rows = markdown([one, other]).splitlines()
    assert rows[2].startswith("| db-power-loss | 1 | 1 | 9.0 s |")
    assert rows[3].startswith("| db-power-loss | 2 | 1 | 4.0 s |")
    assert "machine 1: 2 CPUs, 8000 MiB, Linux 6.1 and machine 2: 2 CPUs, 8000 MiB, Linux 6.2" in rows[5]
    assert "<th>machine</th>" in page([one, other])


def test_results_of_other_timers_than_the_newest_are_left_out_and_counted() -> None:
    old = outcome(9.0, timers={"primary_demote_ms": 5000})
    new = outcome(4.0, at=datetime(2026, 1, 3, tzinfo=UTC), timers={"primary_demote_ms": 1000})
    assert "| db-power-loss | 1 | 4.0 s |" in markdown([old, new])
    assert "1 of other timers are left out" in markdown([old, new])
    assert "late" not in page([old, new])


def test_results_accumulate_and_come_back_as_they_were(tmp_path: Path) -> None:
    first, second = outcome(4.0), outcome(5.0, at=datetime(2026, 1, 3, tzinfo=UTC))
    third = unfinished("no primary")
    for one in (third, second, first):
        keep(one, tmp_path)
    assert kept_results(tmp_path) == [first, second, third]
    assert kept_results(tmp_path, "prod") == []


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    path = keep(outcome(4.0), tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(HaError, match="no result of a drill") as refused:
        kept_results(tmp_path)
    assert refused.value.where == str(path)


def test_the_picture_is_well_formed_and_the_page_escapes_what_it_shows() -> None:
    picture = ElementTree.fromstring(timeline_svg(outcome(9.0)))
    fills = [one.get("fill") for one in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert fills.count("#cf222e") == 1
    assert fills.count("#8250df") == 2
    assert "late &lt;" in page([outcome(9.0)])


def test_without_results_the_table_says_how_to_get_some() -> None:
    assert "drill run" in markdown([])


def test_a_soak_that_was_cut_short_is_a_row_of_its_own() -> None:
    soak: dict[str, object] = {"fault": "soak", "promise": "no failover"}
    runs = [outcome(1.0, **soak, held_s=1800.4, failovers=0), outcome(1.0, **soak, held_s=90.2, failovers=1)]
    rows = [line for line in markdown(runs).splitlines() if line.startswith("| soak")]
    assert [row.split(" | ")[:2] for row in rows] == [["| soak", "1"], ["| soak, 90 s", "1"]]
    assert [row.split(" | ")[12] for row in rows] == ["0", "1"]
    assert [row.split(" | ")[-1] for row in rows] == ["1 of 1 |", "1 of 1, cut short |"]


def test_a_report_says_why_a_promise_is_what_it_is_and_each_stack_is_a_table() -> None:
    text = markdown([outcome(4.0), outcome(4.0, stack="prod")])
    assert text.count("| drill |") == 2
    assert "runs of the stack dev" in text
    assert "runs of the stack prod" in text
    assert f"- *{CATALOGUE['db-power-loss'].promise.text}*: A host that answers nothing" in text


def test_the_page_explains_its_colours() -> None:
    assert page([outcome(4.0)]).count("requests that were answered") == 1

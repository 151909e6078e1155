"""Table and page from results."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from drills.report import markdown, page
from drills.results import Machine, Outcome, Timeline, keep, kept_results
from drills.svg import timeline_svg


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
    assert "| db-power-loss | 3 | 6.0 s | 9.0 s | 9.0 s |" in row
    assert row.endswith("| 2 of 3, p95 broken |")


def test_results_accumulate_and_come_back_as_they_were(tmp_path: Path) -> None:
    first, second = outcome(4.0), outcome(5.0, at=datetime(2026, 1, 3, tzinfo=UTC))
    for one in (second, first):
        keep(one, tmp_path)
    assert kept_results(tmp_path) == [first, second]
    assert kept_results(tmp_path, "prod") == []


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
    assert [row.split(" | ")[11] for row in rows] == ["0", "1"]

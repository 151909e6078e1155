"""Contenders side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from drills.peers.contenders import OURS
from drills.peers.report import NO_RESULTS, markdown
from drills.peers.results import Comparison, Entry, PeerOutcome, kept_comparisons
from drills.results import Machine, kept_results
from spec.timers import Timers
from tests.unit.drills.test_report import outcome


def comparison(*outcomes: PeerOutcome) -> Comparison:
    return Comparison(
        stack="dev",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        commit="abc",
        machine=Machine(cpus=2, memory_mib=8000, kernel="6.1"),
        contenders=[
            Entry(
                name="patroni-defaults", title="Patroni, its defaults", packages=("patroni 4",), settings={"ttl_s": 30}
            ),
            Entry(name="ours", title="ours", packages=("pg 2",), settings={"primary_demote_ms": 1000}),
        ],
        outcomes=list(outcomes),
    )


def put_to(contender: str, outage_s: float, **changes: object) -> PeerOutcome:
    return PeerOutcome(contender=contender, fault="db-power-loss", outcome=outcome(outage_s, **changes))


def test_a_comparison_with_timers_of_before_says_so() -> None:
    old = comparison(put_to("ours", 4.0))
    new = old.model_copy(
        update={"contenders": [Entry(name="ours", title="ours", packages=(), settings=OURS.figures(Timers()))]}
    )
    assert "other timers than today's" in markdown([old])
    assert "other timers than today's" not in markdown([new])


def test_ours_comes_first_and_each_contender_has_a_row_for_each_fault() -> None:
    found = comparison(put_to("patroni-defaults", 25.0), put_to("ours", 4.0), put_to("ours", 5.0))
    rows = [line for line in markdown([found]).splitlines() if "| 5 of 15 |" in line]
    assert rows[0].startswith("| power-loss | ours | 2 | 4.0 s | 5.0 s | 5 of 15 |")
    assert rows[1].startswith("| power-loss | Patroni, its defaults | 1 | 25.0 s | 25.0 s |")
    assert "| Patroni, its defaults | patroni 4 | `ttl_s` 30 |" in markdown([found])


def test_the_first_table_says_what_is_worse_than_an_outage() -> None:
    lost = put_to("patroni-defaults", 25.0, lost=3, two_primaries=True)
    row = markdown([comparison(put_to("ours", 4.0), lost)]).splitlines()[2]
    assert row == "| power-loss | 4.0 s | 25.0 s, 3 lost, two primaries |"


def test_a_comparison_in_which_ours_was_set_otherwise_is_left_out() -> None:
    old = comparison(put_to("ours", 9.0), put_to("patroni-defaults", 25.0))
    old.contenders[1] = old.contenders[1].model_copy(update={"settings": {"primary_demote_ms": 5000}})
    alone = comparison(put_to("patroni-defaults", 26.0))
    alone.contenders.pop()
    row = markdown([old, comparison(put_to("ours", 4.0)), alone]).splitlines()[2]
    assert row == "| power-loss | 4.0 s | 26.0 s |"


def test_a_fault_that_a_contender_did_not_get_over_is_shown() -> None:
    gone = PeerOutcome(contender="patroni-defaults", fault="db-power-loss", unfinished="no primary")
    assert markdown([comparison(put_to("ours", 4.0), gone)]).splitlines()[2] == "| power-loss | 4.0 s | no outcome |"
    mixed = comparison(put_to("ours", 4.0), gone, put_to("patroni-defaults", 25.0))
    assert "25.0 s, 1 without an outcome" in markdown([mixed])
    assert "| 2, 1 without an outcome | 25.0 s |" in markdown([mixed])
    assert "- No outcome of power-loss on Patroni, its defaults: no primary\n" in markdown([mixed])


def test_without_results_the_table_says_so() -> None:
    assert markdown([]) == NO_RESULTS + "\n"


def test_results_come_back_as_they_were_and_are_not_those_of_drills(tmp_path: Path) -> None:
    found = comparison(put_to("ours", 4.0))
    found.keep(tmp_path / "peers")
    assert kept_comparisons(tmp_path / "peers") == [found]
    assert kept_results(tmp_path) == []


def test_comparisons_are_read_from_files_of_json_lines_too(tmp_path: Path) -> None:
    found = comparison(put_to("ours", 4.0))
    kept = found.keep(tmp_path)
    kept.rename(tmp_path / "2026-01-02-dev-machine1.jsonl")
    assert kept_comparisons(tmp_path) == [found]


def test_the_document_for_a_terminal_has_no_timelines() -> None:
    (only,) = comparison(put_to("ours", 4.0)).without_timelines()["outcomes"]
    assert only["outcome"]["outage_s"] == 4.0
    assert "timeline" not in only["outcome"]

"""Tables from results."""

from __future__ import annotations

from datetime import UTC, datetime

from drills.catalogue import CATALOGUE
from drills.report import NO_RESULTS, markdown
from drills.results import ChangeRun, Machine, Outcome, RecoveryRun, RestoreRun, Result, Timeline, Unfinished, Update


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


def unfinished(why: str, **changes: object) -> Unfinished:
    like = outcome(1.0, at=datetime(2026, 1, 4, tzinfo=UTC)).model_dump(include=set(Unfinished.model_fields))
    return Unfinished.model_validate({**like, "kept": False, "unfinished": why, **changes})


def rows(results: list[Result], drill: str = "db-power-loss") -> list[str]:
    return [line for line in markdown(results).splitlines() if line.startswith(f"| {drill}") and "UTC" not in line]


def test_a_row_says_the_spread_and_how_many_runs_kept_the_promise() -> None:
    runs: list[Result] = [outcome(4.0), outcome(6.0), outcome(9.0)]
    (row,) = rows(runs)
    assert "| db-power-loss | 3 | 4.0 s | 6.0 s | 9.0 s | 9.0 s |" in row
    assert row.endswith("| 2 of 3 |")
    (of_ten,) = rows([*runs, *[outcome(4.0)] * 7])
    assert of_ten.endswith("| 9 of 10, p95 broken |")


def test_a_run_without_an_outcome_is_shown_and_kept_no_promise() -> None:
    (both,) = rows([outcome(4.0), unfinished("x")])
    assert both.endswith("| 1 of 2, 1 without an outcome |")
    (alone,) = rows([unfinished("x")])
    assert alone.startswith("| db-power-loss | 1 |")
    assert alone.endswith("| 0 of 1, 1 without an outcome |")
    (complete,) = rows([outcome(4.0)])
    assert alone.count("|") == complete.count("|")


def test_machines_are_not_mixed_in_one_row() -> None:
    one = outcome(9.0)
    other = outcome(4.0, at=datetime(2026, 1, 3, tzinfo=UTC), machine=Machine(cpus=2, memory_mib=8000, kernel="6.2"))
    first, second = rows([one, other])
    assert first.startswith("| db-power-loss | 1 | 1 | 9.0 s |")
    assert second.startswith("| db-power-loss | 2 | 1 | 4.0 s |")
    said = " ".join(markdown([one, other]).split())
    assert "machine 1: 2 CPUs, 8000 MiB, Linux 6.1 and machine 2: 2 CPUs, 8000 MiB, Linux 6.2" in said


def test_results_of_other_timers_than_the_newest_are_left_out_and_counted() -> None:
    old = outcome(9.0, timers={"primary_demote_ms": 5000})
    new = outcome(4.0, at=datetime(2026, 1, 3, tzinfo=UTC), timers={"primary_demote_ms": 1000})
    assert "| db-power-loss | 1 | 4.0 s |" in markdown([old, new])
    assert "Not counted: 1 run with other timers." in markdown([old, new])


def test_each_broken_promise_is_named_also_where_it_is_not_counted() -> None:
    fixed = outcome(9.0, since_fixed=24, lost=5, broken=("5 acknowledged writes are lost",))
    later = datetime(2026, 1, 3, tzinfo=UTC)
    text = markdown([fixed, outcome(9.5, at=later), unfinished("no primary")], lambda number: f"[{number}](x)")
    broken = [line for line in text.splitlines() if "UTC" in line]
    assert [line.split(" | ")[-2:] for line in broken] == [
        ["5 acknowledged writes are lost", "no, since fixed: [24](x) |"],
        ["late <", "yes |"],
        ["no primary", "yes |"],
    ]
    assert "| db-power-loss | 2 |" in text


def test_where_no_run_is_counted_the_report_says_so() -> None:
    text = markdown([outcome(9.0, since_fixed=24)])
    assert "No run is counted." in text
    assert "no, since fixed: decision 24" in text


def test_without_results_the_report_says_how_to_get_some() -> None:
    assert markdown([]) == NO_RESULTS + "\n"


def test_a_soak_that_was_cut_short_is_a_row_of_its_own() -> None:
    soak: dict[str, object] = {"fault": "soak", "promise": "no failover"}
    found = rows(
        [outcome(1.0, **soak, held_s=1800.4, failovers=0), outcome(1.0, **soak, held_s=90.2, failovers=1)], "soak"
    )
    of_drills = [row.split(" | ") for row in found if "stress" not in row]
    assert [row[:2] for row in of_drills] == [["| soak", "1"], ["| soak, 90 s", "1"]]
    assert [row[12] for row in of_drills] == ["0", "1"]
    assert [row[-1] for row in of_drills] == ["1 of 1 |", "1 of 1, cut short |"]


def test_a_report_says_why_a_promise_is_what_it_is_and_each_stack_has_tables() -> None:
    text = markdown([outcome(4.0), outcome(4.0, stack="prod")])
    assert text.count("| drill |") == 2
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Stack dev", "## Stack prod"]
    assert f"- *{CATALOGUE['db-power-loss'].promise.text}*: A host that answers nothing" in text


def test_a_drill_of_before_that_is_in_no_class_has_a_row() -> None:
    text = markdown([outcome(4.0, fault="gone-away")])
    assert "### Other drills" in text
    assert "| gone-away | 1 |" in text
    assert "1 run of drills that are not in any class" in text


def test_what_the_updates_of_changes_did_is_a_table_of_its_own() -> None:
    back = Update(seconds=8.4, error="", touched=(), said=())

    def run(seconds: float, day: int) -> Outcome:
        applied = Update(seconds=seconds, error="app1:\nnot healthy", touched=("app1",), said=())
        change = ChangeRun(applied=applied, returned=back)
        return outcome(1.0, fault="change-release-dies", change=change, at=datetime(2026, 1, day, tzinfo=UTC))

    (row,) = [line for line in markdown([run(130.0, 2), run(140.0, 3)]).splitlines() if "not healthy" in line]
    assert row == "| change-release-dies | 1 | 2 | 130 s | 140 s | app1 | app1: not healthy | 8 s |  |"
    assert "What the updates did" not in markdown([outcome(4.0)])


def test_what_came_back_is_a_table_of_its_own() -> None:
    def run(rto_s: float, day: int, **found: int) -> Outcome:
        counts = {"acknowledged_before": 100, "missing": 0, "sent_after": 9, "after_and_there": 0, **found}
        restore = RestoreRun(
            to="T", backup="F", restored_rows=100, rpo_s=2.5 * counts["missing"], rto_s=rto_s, **counts
        )
        recovery = RecoveryRun(backup_s=6.0, restore=restore)
        return outcome(1.0, fault="restore-to-time", recovery=recovery, at=datetime(2026, 1, day, tzinfo=UTC))

    archive = RecoveryRun(waiting_segments=31, caught_up_s=41.7)
    text = markdown(
        [run(61.0, 2), run(70.0, 3, missing=1), outcome(1.0, fault="archive-unreachable", recovery=archive)]
    )
    _, said = text.split("### What came back")
    found = [line for line in said.splitlines() if line.startswith(("| restore-", "| archive-"))]
    assert found[:2] == [
        "| archive-unreachable | 1 | 1 |  |  |  |  |  |  |  | 31 | 42 s |",
        "| restore-to-time | 1 | 2 | 2.5 s | 61 s | 70 s | 200 | 1 | 0 | 6 s |  |  |",
    ]
    assert "What came back" not in markdown([outcome(4.0)])

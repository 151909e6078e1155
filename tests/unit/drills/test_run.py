"""The result of a run, from what was recorded; and that drills run one at a time."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from drills.catalogue import CATALOGUE
from drills.failovers import Decisions
from drills.faults import Targets
from drills.ledger import Verdict
from drills.promises import Measured
from drills.results import ChangeRun, Outcome, Update
from drills.run import Recording, exclusive_lock, outcome_of
from drills.samples import Kind, Sample, WriteAttempt
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier
from tests.unit.drills.test_faults import FakeInjector

BEGAN = 100.0
TARGETS = Targets(Tier.DB, ("db1",), "db1", "db2", "monitor1")
SAMPLES = [
    Sample(Kind.WRITE, 99.0, 99.1, 201),
    Sample(Kind.WRITE, 100.5, 100.6, 201),
    Sample(Kind.READ, 100.5, 100.6, 200),
    Sample(Kind.WRITE, 101.0, 104.12345, 503),
    Sample(Kind.READ, 102.0, 102.1, 0, error="timeout"),
    Sample(Kind.WRITE, 104.5, 104.6, 401),
    Sample(Kind.WRITE, 105.0, 105.12345, 201),
]
ATTEMPTS = {
    "db1": [WriteAttempt(BEGAN + n / 5, BEGAN + n / 5 + 0.01, accepted=True) for n in range(3)],
    "db2": [WriteAttempt(BEGAN + 5 + n / 5, BEGAN + 5.01 + n / 5, accepted=True) for n in range(3)],
}
DECIDED = Decisions(1, ("db1 to draining: why", "db2 to prepare_promotion: why"))


def outcome(
    name: str = "db-power-loss",
    *,
    attempts: dict[str, list[WriteAttempt]] = ATTEMPTS,
    redundant_again_s: float | None = 7.1,
    decided: Decisions | None = DECIDED,
) -> Outcome:
    recording = Recording(SAMPLES, attempts, BEGAN, BEGAN + 5.04, BEGAN + 6.0, redundant_again_s, 2.5)
    verdict = Verdict(acknowledged=3, lost=("a", "b"), doubled=("c",), unanswered=4)
    return outcome_of(CATALOGUE[name], TARGETS, recording, "db2", verdict, decided, FakeInjector())


def outcome_of_samples(name: str, samples: list[Sample]) -> Outcome:
    """The result of a drill in which visitors saw this, and nothing else happened."""
    began, ended = samples[0].end, samples[-1].end
    probed = {"db1": [WriteAttempt(began, ended, accepted=True)]}
    recording = Recording(samples, probed, began, ended, ended, 0.0, None)
    stored = Verdict(acknowledged=1, lost=(), doubled=(), unanswered=0)
    return outcome_of(CATALOGUE[name], TARGETS, recording, "db1", stored, Decisions(0, ()), FakeInjector())


def test_it_has_what_visitors_saw_what_the_ledger_found_and_what_the_monitor_decided() -> None:
    found = outcome()
    assert (found.fault, found.stack, found.target) == ("db-power-loss", "dev", "db1")
    assert (found.outage_s, found.read_outage_s, found.max_latency_s) == (4.523, 5.4, 3.123)
    assert (found.requests, found.failed, found.failed_reads, found.failed_idempotent) == (6, 3, 1, 3)
    assert found.failures == {"write 503": 1, "read 0: timeout": 1, "write 401": 1}
    assert found.last_failed_s == 4.5
    assert (found.acknowledged, found.lost, found.doubled, found.unanswered) == (3, 2, 1, 4)
    assert (found.two_primaries, found.failovers, found.departures) == (False, 1, DECIDED.departures)
    assert (found.held_s, found.redundant_again_s, found.paged_s) == (5.0, 7.1, 2.5)
    assert found.broken == ("2 acknowledged writes were lost", "1 writes were stored twice")
    assert (found.kept, found.promise) == (False, CATALOGUE["db-power-loss"].promise.text)
    assert found.timeline is not None
    assert found.timeline.healed_s == 5.04
    assert sum(found.timeline.failed) == 3
    assert set(found.timeline.accepting) == {"db1", "db2"}


def test_a_change_says_what_its_updates_did_and_what_was_not_as_expected() -> None:
    applied = Update(seconds=9.1, error="", touched=("lb1", "lb2"), said=())
    change = ChangeRun(applied=applied, returned=applied)
    why = ["`up` failed: no answer"]
    recording = Recording(SAMPLES, ATTEMPTS, BEGAN, BEGAN + 5.04, BEGAN + 6.0, 7.1, None, change, why)
    verdict = Verdict(acknowledged=3, lost=(), doubled=(), unanswered=0)
    drill = CATALOGUE["change-config-lb"]
    found = outcome_of(drill, TARGETS, recording, "db2", verdict, DECIDED, FakeInjector())
    assert (found.target, found.held_s, found.change) == ("lb1, lb2", 5.0, change)
    assert found.broken == (
        "3 requests failed, promised 0 at most",
        "a request took 3.1 s, promised 3 s at most",
        "`up` failed: no answer",
    )


def test_all_that_is_measured_is_in_the_document() -> None:
    assert {field.name for field in fields(Measured)} <= set(Outcome.model_fields)


def test_a_fault_that_is_over_at_once_is_not_held() -> None:
    assert outcome("db-kill").held_s is None


def test_an_estate_that_is_not_redundant_again_breaks_every_promise() -> None:
    assert outcome(redundant_again_s=None).broken[-1] == "not redundant again within 150 s"


def test_without_a_commit_of_the_probe_two_primaries_cannot_be_ruled_out() -> None:
    blind = {**ATTEMPTS, "db2": []}
    assert "the probe saw no commit on db2" in outcome(attempts=blind).broken[-1]


def test_a_monitor_that_does_not_answer_leaves_its_decisions_open() -> None:
    found = outcome(decided=None)
    assert (found.failovers, found.departures) == (None, None)


def test_a_second_drill_is_refused_while_one_runs(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        exclusive_lock(path),
        pytest.raises(HaError, match="another drill is running") as refused,
        exclusive_lock(path),
    ):
        pytest.fail("two drills at once")
    assert refused.value.exit_code == EXIT_USAGE
    with exclusive_lock(path):
        pass

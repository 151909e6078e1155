"""A series goes on after a run that failed, and says what was broken over its repeats."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from drills.catalogue import CATALOGUE, Drill
from drills.results import ChangeRun, Outcome, Result, Unfinished, Update
from drills.series import broken_over_repeats, series
from spec.errors import HaError
from tests.unit.drills.peers.test_files import SETTINGS
from tests.unit.drills.test_report import outcome

THROTTLED = "An error occurred (Throttling) when calling the StopInstances operation"
KILL, POWER_LOSS = CATALOGUE["db-kill"], CATALOGUE["db-power-loss"]


@pytest.fixture
def injector() -> MagicMock:
    found = MagicMock(settings=SETTINGS)
    found.estate.stack = "dev"
    return found


def ignore(_: str) -> None:
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HaError("the ledger\ncannot be held"), "the ledger cannot be held"),
        (ClientError({"Error": {"Code": "Throttling", "Message": "later"}}, "StopInstances"), f"{THROTTLED}: later"),
    ],
    ids=["ours", "AWS"],
)
def test_a_run_without_an_outcome_is_a_result_and_the_rest_is_run(
    error: Exception, said: str, injector: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy: list[float] = []
    kept: list[Result] = []

    def run(drill: Drill, *_: object) -> Outcome:
        if drill is KILL and not kept:
            raise error
        return outcome(4.0, fault=drill.name)

    monkeypatch.setattr("drills.series.run", run)
    monkeypatch.setattr("drills.series.healthy_within", lambda _, seconds: healthy.append(seconds))
    found = series([KILL, POWER_LOSS], 2, injector, ignore, lambda _, one: kept.append(one))
    assert [one.fault for one in found] == ["db-kill", "db-kill", "db-power-loss", "db-power-loss"]
    assert isinstance(found[0], Unfinished)
    assert (found[0].unfinished, found[0].kept) == (said, False)
    assert kept == found
    assert len(healthy) == 1


def test_an_estate_that_does_not_become_healthy_ends_the_series(
    injector: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("drills.series.run", lambda drill, *_: outcome(4.0, fault=drill.name, redundant_again_s=None))
    monkeypatch.setattr("drills.series.healthy_within", MagicMock(side_effect=HaError("db2 is down")))
    assert len(series([KILL, POWER_LOSS], 2, injector, said.append, lambda *_: None)) == 1
    assert said[-1] == "the remaining drills are not run: db2 is down"


def test_an_estate_that_does_not_run_the_checkout_again_ends_the_series(
    injector: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    fine = Update(seconds=9, error="", touched=(), said=())
    change = ChangeRun(applied=fine, returned=fine.model_copy(update={"error": "locked"}))
    monkeypatch.setattr("drills.series.run", lambda drill, *_: outcome(4.0, fault=drill.name, change=change))
    assert len(series([CATALOGUE["change-config-lb"], KILL], 1, injector, said.append, lambda *_: None)) == 1
    assert "does not run this checkout" in said[-1]


def test_the_95th_percentile_is_that_of_a_drills_own_runs() -> None:
    runs: list[Result] = [outcome(6.0, fault="db-kill")] * 10
    runs += [outcome(4.0, fault="db-power-loss")] * 10
    assert broken_over_repeats([KILL, POWER_LOSS], runs) == [
        "db-kill: p95 of 10 outages is 6.0 s, promised 5 s at most"
    ]

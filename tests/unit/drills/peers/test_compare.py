"""Each fault is run on each contender, whatever one of them does, and ours is deployed again at the end."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock, call

import pytest

from drills.catalogue import CATALOGUE, Drill
from drills.faults import Software
from drills.peers.compare import FAULTS, compare, find_fault
from drills.peers.contenders import CONTENDERS, OURS
from drills.peers.results import kept_comparisons
from drills.results import Outcome
from spec.errors import EXIT_USAGE, HaError
from tests.unit.drills.peers.test_files import SETTINGS
from tests.unit.drills.test_report import outcome

THEIRS = CONTENDERS["patroni-defaults"]
KILL, POWER_LOSS = find_fault("kill"), find_fault("power-loss")


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    monkeypatch.setattr("drills.peers.compare.healthy_within", lambda *_: None)
    found = MagicMock()
    found.versions.return_value = ("postgresql-17 17",)
    found.injector_for.return_value.settings = SETTINGS
    found.injector_for.return_value.estate.stack = "dev"
    return found


def ignore(_: str) -> None:
    pass


def test_each_fault_is_run_on_each_contender_as_often_as_asked(
    deployment: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, Software]] = []

    def run(drill: Drill, _: object, __: object, software: Software) -> Outcome:
        ran.append((drill.name, software))
        return outcome(4.0, fault=drill.name)

    monkeypatch.setattr("drills.peers.compare.run", run)
    found = compare([OURS, THEIRS], [KILL, POWER_LOSS], 2, deployment, tmp_path, ignore, "typed")
    expected = [(name, one.software) for one in (OURS, THEIRS) for name in ("db-kill", "db-power-loss") for _ in "12"]
    assert ran == expected
    assert deployment.deploy.mock_calls == [call(OURS), call(THEIRS)]
    assert kept_comparisons(tmp_path) == [found]
    assert found.contenders[1].settings["ttl_s"] == 30


def test_a_contender_that_does_not_recover_is_deployed_again(
    deployment: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(drill: Drill, *_: object) -> Outcome:
        if drill is KILL:
            raise HaError("no primary")
        return outcome(4.0, fault=drill.name, redundant_again_s=None)

    monkeypatch.setattr("drills.peers.compare.run", run)
    found = compare([THEIRS], [KILL, POWER_LOSS], 1, deployment, tmp_path, ignore, "typed")
    assert [(one.unfinished, one.outcome is None) for one in found.outcomes] == [("no primary", True), ("", False)]
    assert deployment.deploy.mock_calls == [call(THEIRS)] * 3


@pytest.mark.parametrize("end", [KeyboardInterrupt(), HaError("does not become healthy")])
def test_ours_comes_back_whatever_ends_the_comparison(
    deployment: MagicMock, tmp_path: Path, end: BaseException
) -> None:
    deployment.deploy.side_effect = end
    with pytest.raises(type(end)):
        compare([THEIRS], [KILL], 1, deployment, tmp_path, ignore, "typed")
    deployment.restore.assert_called_once_with()


def test_it_waits_for_an_estate_that_is_not_healthy_when_the_drill_begins(
    deployment: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [HaError("not healthy", exit_code=EXIT_USAGE)]

    def run(drill: Drill, *_: object) -> Outcome:
        if refusals:
            raise refusals.pop()
        return outcome(4.0, fault=drill.name)

    monkeypatch.setattr("drills.peers.compare.run", run)
    (only,) = compare([THEIRS], [KILL], 1, deployment, tmp_path, ignore, "typed").outcomes
    assert only.outcome is not None


def test_a_fault_lasts_until_the_slowest_contender_has_recovered() -> None:
    for name in FAULTS:
        drill = find_fault(name)
        assert drill.fault is CATALOGUE[f"db-{name}"].fault
        assert drill.hold_at_most_s > drill.hold_s
        assert drill.redundant_within_s > CATALOGUE[f"db-{name}"].redundant_within_s

"""The probe follows each host, also one that is off for a while."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from drills.probe import TABLE, Probe
from drills.samples import WriteAttempt
from lab.waiting import eventually
from ops.postgres import psql_argv
from spec.errors import HaError
from tests.unit.drills.test_faults import FakeInjector

ACCEPTED = WriteAttempt(1.0, 1.1, accepted=True)


class Hosts(FakeInjector):
    """db2 is off at first. On a host that is on, the loop accepts a write again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.command: Sequence[str] = ()

    def host_argv(self, host: str, command: Sequence[str]) -> list[str]:
        self.command = command
        self.asked.append(host)
        if host == "db2" and self.asked.count(host) < 3:
            raise HaError("db2 is off")
        return ["sh", "-c", "while echo '[1.0, 1.1, true]'; do sleep 0.01; done"]


def test_it_follows_each_host_and_starts_again_on_one_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drills.probe._RESTART_S", 0.01)
    injector = Hosts()
    with Probe(injector, ["db1", "db2"]).running() as probe:
        eventually("attempts on both hosts", lambda: all(probe.attempts.values()), deadline_s=20, every_s=0.01)
    assert {attempt for found in probe.attempts.values() for attempt in found} == {ACCEPTED}


def test_the_loop_gets_the_table_and_the_command_of_psql() -> None:
    injector = Hosts()
    with Probe(injector, ["db1"]).running() as probe:
        eventually("an attempt", lambda: probe.attempts["db1"], deadline_s=20, every_s=0.01)
    assert TABLE in injector.command
    assert injector.command[-len(psql_argv("postgres")) :] == tuple(psql_argv("postgres"))

"""The soak: its limits, its promise, and that each part of its stress is undone whatever becomes of the others."""

from __future__ import annotations

import pytest

from drills import soak
from drills.promises import MONITOR, SOAK, broken_by
from spec.errors import HaError
from spec.instance_types import instance_type
from tests.unit.drills.test_faults import Harmed
from tests.unit.drills.test_promises import measured


@pytest.mark.parametrize(
    ("name", "cpus"), [("t3.small", 0.4), ("t3.micro", 0.2), ("t3.large", 0.6), ("m6i.large", None)]
)
def test_the_baseline_of_a_type(name: str, cpus: float | None) -> None:
    assert soak.baseline_cpus(instance_type(name)) == cpus


def test_a_failover_breaks_the_promise_and_so_does_not_knowing() -> None:
    assert broken_by(SOAK, measured(failovers=0)) == []
    assert broken_by(SOAK, measured(failovers=1)) == ["1 failovers, at most 0"]
    assert broken_by(SOAK, measured(failovers=None)) == ["the failover monitor could not say what it decided"]


@pytest.mark.parametrize(("paged_s", "broken"), [(70.0, 0), (121.0, 1), (None, 1)])
def test_a_page_that_is_promised_must_come_in_time(paged_s: float | None, broken: int) -> None:
    assert len(broken_by(MONITOR, measured(failovers=0, paged_s=paged_s))) == broken


class Deaf(Harmed):
    """A ground on which links cannot be made good, and one host does not answer."""

    def smooth(self) -> None:
        raise HaError("no")

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        if host == "db2":
            raise HaError("silence")
        return super().run(host, script, check=check, timeout_s=timeout_s)


def test_what_can_be_undone_is_undone() -> None:
    ground = Deaf()
    ground.slow = {"db1", "db2"}
    ground.units = {("db1", "ha-drill-busy"), ("db1", "ha-drill-disk"), ("db1", "ha-drill-bulk")}
    with pytest.raises(HaError):
        soak.end(ground, "db1", "db2")
    assert (ground.slow, ground.units) == (set(), set())
    assert any("drop table" in script for script in ground.scripts)


class Shared(Harmed):
    """A ground whose hosts share processors: a host that is busy must not be let go."""

    def throttle(self, host: str, cpus: float | None) -> None:
        assert cpus is not None or not any(busy == host for busy, _ in self.units), host
        super().throttle(host, cpus)


def test_a_busy_host_is_not_let_go() -> None:
    ground = Shared()
    soak.begin(ground, "db1", "db2", "monitor1")
    assert ground.slow == {"db1", "db2"}
    assert ground.units
    soak.end(ground, "db1", "db2")
    assert (ground.slow, ground.units) == (set(), set())

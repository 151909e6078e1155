"""The soak: its limits, its promise, and that each part of its stress is undone, even if another cannot be."""

from __future__ import annotations

import pytest

from drills import soak
from drills.promises import MONITOR, SOAK, broken_by
from spec.errors import HaError
from spec.instance_types import instance_type
from tests.unit.drills.test_faults import FakeInjector
from tests.unit.drills.test_promises import measured


@pytest.mark.parametrize(
    ("name", "cpus"), [("t3.small", 0.4), ("t3.micro", 0.2), ("t3.large", 0.6), ("m6i.large", None)]
)
def test_the_baseline_of_a_type(name: str, cpus: float | None) -> None:
    assert soak.baseline_cpus(instance_type(name)) == cpus


def test_a_failover_breaks_the_promise_and_so_does_a_monitor_that_does_not_answer() -> None:
    assert broken_by(SOAK, measured(failovers=0)) == []
    assert broken_by(SOAK, measured(failovers=1)) == ["1 failovers, promised 0 at most"]
    assert broken_by(SOAK, measured(failovers=None)) == [
        "the failover monitor did not answer, so its failovers are not known"
    ]


@pytest.mark.parametrize(("paged_s", "broken"), [(70.0, 0), (121.0, 1), (None, 1)])
def test_a_page_that_is_promised_must_come_in_time(paged_s: float | None, broken: int) -> None:
    assert len(broken_by(MONITOR, measured(failovers=0, paged_s=paged_s))) == broken


class FailingInjector(FakeInjector):
    """Cannot unimpair, and one host does not answer."""

    def unimpair(self) -> None:
        raise HaError("no")

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        if host == "db2":
            raise HaError("db2 does not answer")
        return super().run(host, script, check=check, timeout_s=timeout_s)


def test_all_that_can_be_undone_is_undone() -> None:
    injector = FailingInjector()
    injector.throttled = {"db1", "db2"}
    injector.units = {("db1", "ha-drill-busy"), ("db1", "ha-drill-disk"), ("db1", "ha-drill-bulk")}
    with pytest.raises(HaError):
        soak.stop(injector, "db1", "db2")
    assert (injector.throttled, injector.units) == (set(), set())
    assert any("drop table" in script for script in injector.scripts)


class SharedProcessors(FakeInjector):
    """Refuses to remove the limit of a host that is busy, as the others would get no processor."""

    def throttle(self, host: str, cpus: float | None) -> None:
        assert cpus is not None or not any(busy == host for busy, _ in self.units), host
        super().throttle(host, cpus)


def test_the_limit_of_a_busy_host_is_not_removed() -> None:
    injector = SharedProcessors()
    soak.start(injector, "db1", "db2", "monitor1")
    assert injector.throttled == {"db1", "db2"}
    assert injector.units
    soak.stop(injector, "db1", "db2")
    assert (injector.throttled, injector.units) == (set(), set())

"""Whenever a signal comes, the fault is healed completely, and the drill ends."""

from __future__ import annotations

import itertools
import os
import signal

import pytest

from drills.deferred_signals import TERMINATION_SIGNALS, defer_signals
from drills.faults import Fault, Targets, injected
from spec.errors import HaError
from spec.tiers import Tier
from tests.unit.drills.test_faults import FakeInjector

TARGETS = Targets(Tier.DB, ("db1",), "db1", "db2", "monitor1")


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


class Interrupted:
    """A fault of two steps each way, with a signal at one or more of the moments `injecting`, `holding`, `healing`."""

    def __init__(self, moments: tuple[str, ...], number: signal.Signals) -> None:
        self.done: list[str] = []
        self.said: list[str] = []
        self.held = self.held_to_the_end = False
        self._moments = moments
        self._number = number

    def at(self, moment: str) -> None:
        if moment in self._moments:
            send(self._number)

    def inject(self, *_: object) -> None:
        self.done.append("first")
        self.at("injecting")
        self.done.append("second")

    def heal(self, *_: object) -> None:
        self.done.remove("first")
        self.at("healing")
        self.done.remove("second")

    def run(self) -> None:
        with injected(Fault("two", self.inject, self.heal), FakeInjector(), TARGETS, self.said.append):
            self.held = True
            self.at("holding")
            self.held_to_the_end = True


MOMENTS = [
    chosen for count in (1, 2, 3) for chosen in itertools.combinations(("injecting", "holding", "healing"), count)
]


@pytest.mark.parametrize("number", TERMINATION_SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("moments", MOMENTS, ids="-".join)
def test_a_fault_is_healed_completely(moments: tuple[str, ...], number: signal.Signals) -> None:
    fault = Interrupted(moments, number)
    before = {one: signal.getsignal(one) for one in TERMINATION_SIGNALS}
    with pytest.raises(KeyboardInterrupt):
        fault.run()
    assert fault.done == []
    assert bool(fault.said) is (moments != ("healing",))
    assert fault.held is ("injecting" not in moments)
    assert fault.held_to_the_end is (moments == ("healing",))
    assert {one: signal.getsignal(one) for one in TERMINATION_SIGNALS} == before


@pytest.mark.parametrize(
    "error", [HaError("nft is gone"), OSError("nft is gone")], ids=lambda error: type(error).__name__
)
def test_an_interrupted_drill_ends_also_when_healing_fails_and_says_so(error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    said: list[str] = []
    with (
        pytest.raises(KeyboardInterrupt),
        injected(Fault("one", lambda *_: None, fail), FakeInjector(), TARGETS, said.append),
    ):
        send(signal.SIGINT)
    assert "not healed: nft is gone" in said


def test_of_two_signals_in_a_row_the_second_waits() -> None:
    healed: list[str] = []

    def run() -> None:
        with defer_signals() as signals:
            try:
                with signals.delivered():
                    send(signal.SIGINT)
            finally:
                send(signal.SIGTERM)
                healed.append("whole")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert healed == ["whole"]


def test_without_a_signal_nothing_is_raised() -> None:
    with defer_signals() as signals, signals.delivered():
        pass
    assert not signals.received

"""A host's driver against a machine that only remembers what was done to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from lab.aws.model import Volume
from lab.hosts.driver import Claims, DesiredState, Driver, DriverContext, Power
from lab.hosts.machine import REBOOT_EXIT_CODE, Blueprint, Machine
from lab.hosts.volumes import VolumeStore
from lab.waiting import eventually
from spec.errors import HaError

WAIT_S = 5.0
UP = DesiredState(running=True)
DOWN = DesiredState(running=False)
GONE = DesiredState(running=False, exists=False)


class FakeMachine:
    """Boots and ends at once; `finish` makes it end by itself with an exit code."""

    def __init__(self, name: str, address: str, events: list[str], dev: Path) -> None:
        self.blueprint = cast(
            Blueprint, type("B", (), {"instance_id": f"i-{name}", "name": name, "address": address})()
        )
        self.dev = dev
        self.running = False
        self.refuses_to_boot = ""
        self._events = events
        self._ended = threading.Condition()
        self._codes: list[int] = []

    def create(self) -> None:
        self._events.append(f"create {self.blueprint.name}")

    def boot(self) -> None:
        if self.refuses_to_boot:
            raise HaError(self.refuses_to_boot)
        self.running = True
        self._events.append(f"boot {self.blueprint.name}")

    def finish(self, code: int) -> None:
        with self._ended:
            self.running = False
            self._codes.append(code)
            self._ended.notify_all()

    def wait(self) -> int:
        with self._ended:
            self._ended.wait_for(lambda: bool(self._codes))
            return self._codes.pop()

    def power_off(self, deadline_s: float) -> None:
        self._events.append(f"power off {self.blueprint.name}")
        self.finish(0)

    def kill(self) -> None:
        if self.running:
            self._events.append(f"kill {self.blueprint.name}")
            self.finish(-9)

    def remove(self) -> None:
        self._events.append(f"remove {self.blueprint.name}")


class Bench:
    """Drivers over fake machines that share claims, as the reconciler's do."""

    def __init__(self, directory: Path) -> None:
        self.events: list[str] = []
        self.powered_off: list[str] = []
        self.drivers: list[Driver] = []
        self.starts_again_at_once = False
        self.link_fails = ""
        self._directory = directory
        self._context = DriverContext(
            claims=Claims(),
            store=cast(VolumeStore, type("Store", (), {"device": lambda *_: None})()),
            link_is_up=self._link_is_up,
            link_is_gone=lambda _: None,
            powered_off=self._power_off_in_api,
            read_again=self._read_again,
            changed=self._nudge,
        )

    def _link_is_up(self, _: str) -> None:
        if self.link_fails:
            raise HaError(self.link_fails)

    def _power_off_in_api(self, instance_id: str) -> None:
        self.powered_off.append(instance_id)
        if self.starts_again_at_once:
            self.drivers[0].set_desired(UP)

    def _read_again(self) -> None:
        if self.starts_again_at_once:
            self.drivers[0].set_desired(UP)

    def _nudge(self) -> None:
        for driver in list(self.drivers):
            driver.nudge()

    def driver(self, name: str, address: str = "10.0.0.10", desired: DesiredState = UP) -> tuple[Driver, FakeMachine]:
        machine = FakeMachine(name, address, self.events, self._directory / name)
        driver = Driver(cast(Machine, machine), desired, self._context)
        self.drivers.append(driver)
        driver.start()
        return driver, machine


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for driver in made.drivers:
        driver.set_desired(GONE)
        reaches(driver, Power.GONE)


def reaches(driver: Driver, power: Power) -> None:
    eventually(f"the host is {power}", lambda: driver.power is power, deadline_s=WAIT_S, every_s=0.005)


def test_a_running_instance_boots_and_a_terminated_one_is_gone(bench: Bench) -> None:
    driver, _ = bench.driver("a")
    reaches(driver, Power.ON)
    driver.set_desired(GONE)
    reaches(driver, Power.GONE)
    assert bench.events == ["create a", "boot a", "power off a", "remove a"]


def test_a_stopped_instance_is_off_and_boots_again_with_the_same_disk(bench: Bench) -> None:
    driver, _ = bench.driver("a")
    reaches(driver, Power.ON)
    driver.set_desired(DOWN)
    assert driver.settled(WAIT_S)
    assert driver.power is Power.OFF
    driver.set_desired(UP)
    reaches(driver, Power.ON)
    assert bench.events == ["create a", "boot a", "power off a", "boot a"]


def test_stopped_and_started_at_once_is_still_stopped(bench: Bench) -> None:
    driver, _ = bench.driver("a")
    reaches(driver, Power.ON)
    driver.set_desired(DOWN)
    assert driver.settled(WAIT_S)
    driver.set_desired(UP)
    eventually("it boots again", lambda: bench.events.count("boot a") == 2, deadline_s=WAIT_S, every_s=0.005)


def test_a_host_that_reboots_comes_back(bench: Bench) -> None:
    driver, machine = bench.driver("a")
    reaches(driver, Power.ON)
    machine.finish(REBOOT_EXIT_CODE)
    eventually("it boots again", lambda: bench.events.count("boot a") == 2, deadline_s=WAIT_S, every_s=0.005)
    reaches(driver, Power.ON)
    assert bench.powered_off == []


def test_a_host_that_shuts_itself_down_is_reported_to_the_api(bench: Bench) -> None:
    driver, machine = bench.driver("a")
    reaches(driver, Power.ON)
    machine.finish(0)
    eventually("the API is told", lambda: bench.powered_off == ["i-a"], deadline_s=WAIT_S, every_s=0.005)
    assert driver.power is Power.OFF


def test_a_host_that_shut_itself_down_and_is_started_before_that_was_seen_boots_again(bench: Bench) -> None:
    bench.starts_again_at_once = True
    driver, machine = bench.driver("a")
    reaches(driver, Power.ON)
    machine.finish(0)
    eventually("it boots again", lambda: bench.events.count("boot a") == 2, deadline_s=WAIT_S, every_s=0.005)


def test_a_host_that_crashes_stays_so_until_it_is_stopped_and_started(bench: Bench) -> None:
    driver, machine = bench.driver("a")
    reaches(driver, Power.ON)
    machine.finish(1)
    reaches(driver, Power.CRASHED)
    driver.set_desired(UP)
    assert bench.events.count("boot a") == 1
    driver.set_desired(DOWN)
    assert driver.settled(WAIT_S)
    driver.set_desired(UP)
    reaches(driver, Power.ON)


def test_a_host_that_cannot_boot_says_why_and_can_be_removed(bench: Bench) -> None:
    driver, machine = bench.driver("a", desired=DOWN)
    machine.refuses_to_boot = "no such file"
    driver.set_desired(UP)
    reaches(driver, Power.BROKEN)
    assert driver.problem == "no such file"
    driver.set_desired(GONE)
    reaches(driver, Power.GONE)


def test_a_host_whose_link_cannot_be_set_up_is_ended_before_another_gets_its_address(bench: Bench) -> None:
    bench.link_fails = "no such device"
    broken, machine = bench.driver("a")
    reaches(broken, Power.BROKEN)
    assert not machine.running
    assert broken.problem == "no such device"
    bench.link_fails = ""
    other, _ = bench.driver("b")
    reaches(other, Power.ON)
    assert bench.events.index("kill a") < bench.events.index("boot b")
    other.set_desired(GONE)
    broken.set_desired(DOWN)
    reaches(broken, Power.OFF)
    broken.set_desired(UP)
    reaches(broken, Power.ON)
    assert broken.problem == ""


def test_a_replacement_waits_for_the_address_of_the_host_that_it_replaces(bench: Bench) -> None:
    old, _ = bench.driver("old")
    reaches(old, Power.ON)
    new, _ = bench.driver("new")
    reaches(new, Power.WAITING)
    assert "boot new" not in bench.events
    old.set_desired(GONE)
    reaches(new, Power.ON)
    assert bench.events.index("power off old") < bench.events.index("boot new")


def test_a_volume_is_shown_to_the_next_host_only_when_the_last_one_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(verb: str) -> Callable[..., None]:
        return lambda dev, index, volume_id, *_: bench.events.append(f"{verb} {volume_id} {dev.name} nvme{index}n1")

    monkeypatch.setattr("lab.hosts.volumes.show", note("show"))
    monkeypatch.setattr("lab.hosts.volumes.hide", note("hide"))
    volume = Volume("vol-1", 1, {}, None)
    holding = DesiredState(running=True, volumes={"vol-1": volume})
    old, _ = bench.driver("old", "10.0.0.1", holding)
    eventually("old sees it", lambda: "show vol-1 old nvme1n1" in bench.events, deadline_s=WAIT_S, every_s=0.005)
    new, _ = bench.driver("new", "10.0.0.2", holding)
    reaches(new, Power.ON)
    assert "show vol-1 new nvme1n1" not in bench.events
    old.set_desired(UP)
    eventually("new sees it", lambda: "show vol-1 new nvme1n1" in bench.events, deadline_s=WAIT_S, every_s=0.005)
    assert bench.events.index("hide vol-1 old nvme1n1") < bench.events.index("show vol-1 new nvme1n1")

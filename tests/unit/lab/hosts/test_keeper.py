"""The keeper follows the API again when the network failed once, and waits for the hosts that a call named."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from lab.aws.model import Vpc, World
from lab.hosts.driver import Driver
from lab.hosts.keeper import Keeper, KeeperSettings
from lab.network.fabric import Fabric
from lab.network.namespace import Namespace
from lab.process import Finished, ProgramFailed
from lab.waiting import eventually
from spec.errors import HaError
from tests.unit.lab.network import worlds

WORLD = World(vpcs=(Vpc("vpc-1", worlds.PUBLIC.cidr, False),))


class FailingFabric:
    """A network that fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.applied: list[World] = []

    def apply(self, world: World, live: set[str]) -> None:
        if self.failures:
            self.failures -= 1
            raise HaError("nft failed")
        self.applied.append(world)


def keeper_of(fabric: FailingFabric, state: Path) -> Keeper:
    settings = KeeperSettings(state=state, image=state, certificate_authority="", powered_off=lambda _: None)
    return Keeper(settings, cast(Fabric, fabric), lambda: WORLD)


def test_a_network_that_failed_is_tried_again_and_told_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.hosts.keeper.RETRY_S", 0.05)
    fabric = FailingFabric(failures=2)
    keeper = keeper_of(fabric, tmp_path)
    keeper.on_change("ec2", "RunInstances")
    assert "nft failed" in keeper.problem
    assert keeper.world == World()
    keeper.start()
    try:
        eventually("it is applied", lambda: fabric.applied == [WORLD], deadline_s=5, every_s=0.01)
        eventually("no problem is told", lambda: keeper.problem == "", deadline_s=5, every_s=0.01)
        assert keeper.world == WORLD
    finally:
        keeper.close()


class SlowHost:
    """A host that is never down."""

    def __init__(self, name: str) -> None:
        self.instance_id = name
        self.power = "stopping"
        self.waited = False
        self.want: Callable[..., None] = lambda _: None

    def settled(self, deadline_s: float) -> bool:
        self.waited = True
        time.sleep(deadline_s)
        return False


def test_a_stop_waits_for_the_hosts_that_it_names_and_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lab.hosts.keeper.SETTLE_S", 0.3)
    keeper = keeper_of(FailingFabric(0), tmp_path)
    hosts = {name: SlowHost(name) for name in ("i-1", "i-2", "i-3", "i-4")}
    monkeypatch.setattr(keeper, "_drivers", cast(dict[str, Driver], hosts))
    began = time.monotonic()
    keeper.on_change("ec2", "StopInstances", {"i-1", "i-2", "i-3"})
    assert time.monotonic() - began < 0.6
    assert [name for name, host in hosts.items() if host.waited] == ["i-1", "i-2", "i-3"]


class Links:
    """The fabric's namespace with some links; a command about another fails, as `ip` does."""

    def __init__(self, *links: str) -> None:
        self.links = links
        self.done: list[str] = []

    def has_link(self, name: str) -> bool:
        return name in self.links

    def sysctl(self, values: dict[str, int]) -> None:
        if not any(f".{link}." in name for name in values for link in self.links):
            raise FileNotFoundError(next(iter(values)))

    def ip(self, lines: list[str], *, force: bool = False) -> None:
        if not force and not all(any(link in line for link in self.links) for line in lines):
            raise ProgramFailed(Finished(("ip",), 1, "", "Cannot find device"))
        self.done += lines

    def run(self, command: list[str], *, stdin: str) -> None:
        assert command[0] == "nft"


def test_a_link_that_is_gone_stops_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    links = Links("e-lb1", "lo")
    monkeypatch.setattr(Namespace, "create", lambda name, directory: links)
    monkeypatch.setattr(Namespace, "own", lambda: Links("vpc"))
    monkeypatch.setattr(Fabric, "_set_up", lambda self: None)
    monkeypatch.setattr(Fabric, "_apply_outside_routes", lambda self, world: None)
    fabric = Fabric(tmp_path)
    fabric.apply(worlds.world(), {"i-lb1", "i-app1"})
    assert "route replace 10.20.0.10/32 dev e-lb1" in links.done
    assert not any("e-app1" in line for line in links.done)
    # Its host boots again: what could not be set up is not taken for done.
    links.links = ("e-lb1", "e-app1", "lo")
    fabric.apply(worlds.world(), {"i-lb1", "i-app1"})
    assert "route replace 10.20.10.10/32 dev e-app1" in links.done

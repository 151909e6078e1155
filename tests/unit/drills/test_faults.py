"""Every fault heals itself, whatever ends its block; healing twice is harmless."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from unittest.mock import MagicMock

import pytest

from drills.catalogue import CATALOGUE, check_shape, find
from drills.faults import FAULTS, Fault, Scene, Software, inflicted, on_targets
from drills.ground import Roughness, Way
from spec.errors import EXIT_USAGE, HaError
from spec.project import REPOSITORY
from spec.stack_file import load_settings
from spec.tiers import Tier

SCENE = Scene(Tier.DB, ("db1",), "db1", "db2", "monitor1")


class Routes:
    """The part of EC2 that a way out of the network is in."""

    def __init__(self) -> None:
        self.gateways = [{"NatGatewayId": "nat-1"}]
        self.public = {"RouteTableId": "rtb-public", "Routes": [{"GatewayId": "igw-1"}]}
        self.private: dict[str, list[dict[str, str]]] = {"rtb-a": [], "rtb-b": []}
        for table in self.private:
            self.create_route(table, "0.0.0.0/0", "nat-1")

    def describe_nat_gateways(self, **_: object) -> object:
        return {"NatGateways": self.gateways}

    def describe_route_tables(self, **_: object) -> object:
        private = [{"RouteTableId": table, "Routes": list(routes)} for table, routes in self.private.items()]
        return {"RouteTables": [self.public, *private]}

    def delete_route(self, RouteTableId: str, DestinationCidrBlock: str) -> None:
        self.private[RouteTableId].clear()

    def create_route(self, RouteTableId: str, DestinationCidrBlock: str, NatGatewayId: str) -> None:
        self.private[RouteTableId].append({"NatGatewayId": NatGatewayId})


class Harmed:
    """A ground on which all that is broken is held, and nothing else."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.cut_off: set[str] = set()
        self.ways: tuple[Way, ...] = ()
        self.rough: tuple[Way, ...] = ()
        self.slow: set[str] = set()
        self.units: set[tuple[str, str]] = set()
        self.scripts: list[str] = []
        self.routes = Routes()
        self.estate = MagicMock(stack="dev")
        self.estate.client.return_value = self.routes
        self.public_address = ("203.0.113.1", 80)
        self.settings = load_settings(REPOSITORY, "dev")

    def client_argv(self, command: Sequence[str]) -> list[str]:
        return list(command)

    def host_argv(self, host: str, command: Sequence[str]) -> list[str]:
        return list(command)

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        self.scripts.append(script)
        self.units |= {(host, unit) for unit in re.findall(r"--unit=(\S+)", script)}
        if script.startswith("systemctl stop"):
            self.units -= {(host, unit) for unit in script.split()}
        return ""

    def addresses(self) -> Mapping[str, str]:
        return {}

    def cut(self, host: str) -> None:
        self.cut_off.add(host)

    def mend(self, host: str) -> None:
        self.cut_off.discard(host)

    def power_loss(self, host: str) -> None:
        self.down.add(host)

    def crash(self, host: str) -> None:
        self.down.add(host)

    def power_on(self, host: str) -> None:
        self.down.discard(host)

    def block(self, ways: Sequence[Way]) -> None:
        self.ways = tuple(ways)

    def unblock(self) -> None:
        self.ways = ()

    def roughen(self, ways: Sequence[Way], roughness: Roughness) -> None:
        self.rough = tuple(ways)

    def smooth(self) -> None:
        self.rough = ()

    def throttle(self, host: str, cpus: float | None) -> None:
        self.slow = self.slow - {host} if cpus is None else self.slow | {host}

    @property
    def whole(self) -> bool:
        wayless = any(len(routes) != 1 for routes in self.routes.private.values())
        return not (wayless or self.down or self.cut_off or self.ways or self.rough or self.slow or self.units)


@pytest.fixture(autouse=True)
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The estates whose primary was handed over; nothing is waited for."""
    estates: list[object] = []
    monkeypatch.setattr("drills.faults.time.sleep", lambda _: None)
    monkeypatch.setattr("drills.faults.hand_over", lambda estate, _: estates.append(estate))
    return estates


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_fault_is_healed_when_its_block_is_interrupted_and_healing_again_is_harmless(fault: Fault) -> None:
    ground = Harmed()
    with pytest.raises(KeyboardInterrupt), inflicted(fault, ground, SCENE):
        raise KeyboardInterrupt
    assert ground.whole
    fault.heal(ground, SCENE)
    assert ground.whole


def test_a_fault_that_broke_half_way_is_healed() -> None:
    ground = Harmed()

    def half(on: object, scene: Scene) -> None:
        ground.cut("db1")
        raise HaError("the second half failed")

    with pytest.raises(HaError), inflicted(Fault("half", half, FAULTS["network-cut"].heal), ground, SCENE):
        pytest.fail("the block must not be entered")
    assert ground.whole


@pytest.mark.parametrize("name", ["power-loss", "stop", "memory-pressure", "unsafe-power-loss"])
def test_a_host_that_cannot_be_healed_keeps_the_others_from_nothing(name: str) -> None:
    ground = Harmed()
    ground.down, ground.ways = {"db1", "db2"}, (Way("db1", "db2"),)
    healed: list[str] = []

    def fails(host: str, *_: object, **__: object) -> str:
        healed.append(host)
        raise HaError(f"{host} does not answer")

    ground.power_on = ground.run = fails  # type: ignore[assignment,method-assign]
    scene = replace(SCENE, targets=("db1", "db2"))
    with pytest.raises(HaError):
        FAULTS[name].heal(ground, scene)
    assert {"db1", "db2"} <= set(healed)
    assert name != "unsafe-power-loss" or not ground.ways


@pytest.mark.parametrize(
    "name", ["power-loss", "network-cut", "packet-loss", "partition-both", "host-kill", "stress", "route-loss"]
)
def test_a_fault_breaks_something_for_as_long_as_its_block(name: str) -> None:
    ground = Harmed()
    with inflicted(FAULTS[name], ground, SCENE):
        assert not ground.whole
    assert ground.whole


@pytest.mark.parametrize(
    ("fault", "broken", "healed"),
    [
        ("stop", "systemctl stop pgautofailover", "systemctl start pgautofailover"),
        ("stop-no-drain", "kill --signal=KILL pgautofailover", "systemctl start pgautofailover"),
        ("hang", "kill --signal=STOP pgautofailover", "kill --signal=CONT pgautofailover"),
        ("disk-full", "fallocate -l", "rm -f /srv/data/ha-drill-filler"),
        ("disk-stall", "fsfreeze --freeze /srv/data", "fsfreeze --unfreeze /srv/data"),
        ("memory-pressure", "systemd-run", "systemctl stop ha-drill-hog"),
    ],
)
def test_what_a_script_breaks_another_heals(fault: str, broken: str, healed: str) -> None:
    ground = Harmed()
    with inflicted(FAULTS[fault], ground, SCENE):
        assert broken in ground.scripts[-1]
        before = len(ground.scripts)
    assert healed in "".join(ground.scripts[before:])


def test_scripts_are_as_a_shell_has_them() -> None:
    """Each went through `format`, which takes single braces for names."""
    ground = Harmed()
    for fault in FAULTS.values():
        with inflicted(fault, ground, SCENE):
            pass
    for script in ground.scripts:
        assert subprocess.run(["sh", "-n", "-c", script], capture_output=True, check=False).returncode == 0, script
        assert "{{" not in script


def test_without_a_nat_gateway_there_is_none_to_lose() -> None:
    ground = Harmed()
    ground.routes.gateways = []
    with pytest.raises(HaError, match="no NAT gateway"):
        FAULTS["route-loss"].inject(ground, SCENE)


def test_a_switchover_is_what_operators_do(handed_over: list[object]) -> None:
    ground = Harmed()
    with inflicted(FAULTS["switchover"], ground, SCENE):
        assert handed_over == [ground.estate]
    assert ground.scripts == []


def test_drills_are_named_by_tier_and_fault_and_need_known_faults() -> None:
    assert all(name == drill.name for name, drill in CATALOGUE.items())
    assert {f"db-{fault}" for fault in ("stop", "kill", "hang", "power-loss", "disk-full", "switchover")} <= set(
        CATALOGUE
    )


def test_an_unknown_drill_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(HaError, match="no drill 'db-earthquake'") as refused:
        find("db-earthquake")
    assert refused.value.exit_code == EXIT_USAGE
    assert "db-power-loss" in refused.value.fix


def test_a_drill_about_a_second_load_balancer_is_refused_where_there_is_none() -> None:
    with pytest.raises(HaError, match="needs two load balancer hosts") as refused:
        check_shape(find("lb-power-loss"), load_settings(REPOSITORY, "dev"))
    assert refused.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("stop", "systemctl stop other"),
        ("kill", "kill -KILL $(head -1 /srv/data/other/postmaster.pid)"),
        ("switchover", "other hand over"),
    ],
)
def test_a_fault_is_done_to_whatever_keeps_the_database(fault: str, told: str) -> None:
    ground = Harmed()
    other = Software(unit="other", data="/srv/data/other", hand_over=on_targets("other hand over"))
    FAULTS[fault].inject(ground, replace(SCENE, software=other))
    assert ground.scripts == [told]


def test_of_other_tiers_the_service_is_killed() -> None:
    ground = Harmed()
    FAULTS["kill"].inject(ground, replace(SCENE, tier=Tier.APP, targets=("app1",)))
    assert ground.scripts == ["systemctl kill --signal=KILL event-manager"]

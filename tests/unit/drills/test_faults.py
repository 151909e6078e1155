"""Every fault is healed, whatever ends its block, and may be healed twice."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import MagicMock

import pytest

from drills.catalogue import CATALOGUE, check_stack, find
from drills.fault_injector import FaultInjector, Impairment, NetworkPath
from drills.faults import FAULTS, Fault, Software, Targets, injected, on_targets
from spec.errors import EXIT_USAGE, HaError
from spec.stack_file import load_settings
from spec.tiers import Tier
from tests.stacks import STACKS

TARGETS = Targets(Tier.DB, ("db1",), "db1", "db2", "monitor1")


class Routes:
    """The part of EC2 that routes through a NAT gateway are in."""

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


class Bucket:
    """The part of S3 that the policy of the backups' bucket is in, and whose account it is."""

    def __init__(self) -> None:
        self.policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "TlsOnly"}]})

    def get_caller_identity(self) -> object:
        return {"Arn": "arn:aws:iam::123456789012:user/me", "Account": "123456789012"}

    def get_bucket_policy(self, Bucket: str) -> object:
        return {"Policy": self.policy}

    def put_bucket_policy(self, Bucket: str, Policy: str) -> None:
        self.policy = Policy

    @property
    def statements(self) -> list[str]:
        return [one["Sid"] for one in json.loads(self.policy)["Statement"]]


class FakeInjector(FaultInjector):
    """Keeps what is broken at present, in place of breaking it."""

    def __init__(self) -> None:
        self.routes = Routes()
        estate = MagicMock(stack="dev")
        self.bucket = Bucket()
        estate.client.side_effect = lambda service: self.routes if service == "ec2" else self.bucket
        super().__init__(MagicMock(), estate, load_settings(STACKS, "dev"))
        self.down: set[str] = set()
        self.disconnected: set[str] = set()
        self.blocked: tuple[NetworkPath, ...] = ()
        self.impaired: tuple[NetworkPath, ...] = ()
        self.throttled: set[str] = set()
        self.units: set[tuple[str, str]] = set()
        self.scripts: list[str] = []

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        self.scripts.append(script)
        self.units |= {(host, unit) for unit in re.findall(r"--unit=(\S+)", script)}
        if script.startswith("systemctl stop"):
            self.units -= {(host, unit) for unit in script.split()}
        return ""

    def disconnect(self, host: str) -> None:
        self.disconnected.add(host)

    def reconnect(self, host: str) -> None:
        self.disconnected.discard(host)

    def power_loss(self, host: str) -> None:
        self.down.add(host)

    def crash(self, host: str) -> None:
        self.down.add(host)

    def power_on(self, host: str) -> None:
        self.down.discard(host)

    def block(self, paths: Sequence[NetworkPath]) -> None:
        self.blocked = tuple(paths)

    def unblock(self) -> None:
        self.blocked = ()

    def impair(self, paths: Sequence[NetworkPath], impairment: Impairment) -> None:
        self.impaired = tuple(paths)

    def unimpair(self) -> None:
        self.impaired = ()

    def throttle(self, host: str, cpus: float | None) -> None:
        self.throttled = self.throttled - {host} if cpus is None else self.throttled | {host}

    @property
    def nothing_is_broken(self) -> bool:
        routeless = any(len(routes) != 1 for routes in self.routes.private.values())
        hosts = self.down | self.disconnected | self.throttled
        refused = self.bucket.statements != ["TlsOnly"]
        return not (routeless or refused or hosts or self.blocked or self.impaired or self.units)


@pytest.fixture(autouse=True)
def switched_over(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The estates whose primary was switched over. Nothing waits."""
    estates: list[object] = []
    monkeypatch.setattr("drills.faults.time.sleep", lambda _: None)
    monkeypatch.setattr("drills.faults.hand_over", lambda estate, _: estates.append(estate))
    return estates


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_fault_is_healed_when_its_block_is_interrupted_and_healing_again_is_harmless(fault: Fault) -> None:
    injector = FakeInjector()
    with pytest.raises(KeyboardInterrupt), injected(fault, injector, TARGETS):
        raise KeyboardInterrupt
    assert injector.nothing_is_broken
    fault.heal(injector, TARGETS)
    assert injector.nothing_is_broken


def test_a_fault_that_broke_half_way_is_healed() -> None:
    injector = FakeInjector()

    def half(on: object, targets: Targets) -> None:
        injector.disconnect("db1")
        raise HaError("the second half failed")

    with pytest.raises(HaError), injected(Fault("half", half, FAULTS["network-cut"].heal), injector, TARGETS):
        pytest.fail("the block must not be entered")
    assert injector.nothing_is_broken


@pytest.mark.parametrize("name", ["power-loss", "stop", "memory-pressure", "unsafe-power-loss"])
def test_the_other_hosts_are_healed_when_one_cannot_be(name: str) -> None:
    injector = FakeInjector()
    injector.down, injector.blocked = {"db1", "db2"}, (NetworkPath("db1", "db2"),)
    healed: list[str] = []

    def fails(host: str, *_: object, **__: object) -> str:
        healed.append(host)
        raise HaError(f"{host} does not answer")

    injector.power_on = injector.run = fails  # type: ignore[assignment,method-assign]
    targets = replace(TARGETS, hosts=("db1", "db2"))
    with pytest.raises(HaError):
        FAULTS[name].heal(injector, targets)
    assert {"db1", "db2"} <= set(healed)
    assert name != "unsafe-power-loss" or not injector.blocked


@pytest.mark.parametrize(
    "name",
    [
        *("power-loss", "network-cut", "packet-loss", "partition-both", "host-kill", "stress", "route-loss"),
        *("slot-loss", "archive-refusal"),
    ],
)
def test_a_fault_breaks_something_for_as_long_as_its_block(name: str) -> None:
    injector = FakeInjector()
    with injected(FAULTS[name], injector, TARGETS):
        assert not injector.nothing_is_broken
    assert injector.nothing_is_broken


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
    injector = FakeInjector()
    with injected(FAULTS[fault], injector, TARGETS):
        assert broken in injector.scripts[-1]
        before = len(injector.scripts)
    assert healed in "".join(injector.scripts[before:])


def test_scripts_are_as_a_shell_has_them() -> None:
    """`format` removes single braces."""
    injector = FakeInjector()
    for fault in FAULTS.values():
        with injected(fault, injector, TARGETS):
            pass
    for script in injector.scripts:
        assert subprocess.run(["sh", "-n", "-c", script], capture_output=True, check=False).returncode == 0, script
        assert "{{" not in script


def test_the_primary_keeps_wal_again_before_the_standby_is_back_to_copy_its_settings() -> None:
    injector = FakeInjector()
    with injected(FAULTS["slot-loss"], injector, TARGETS):
        assert injector.down == {"db2"}
        assert [script.count("alter system reset") for script in injector.scripts] == [0, 2]
        for setting in re.findall(r"alter system set (\w+)", injector.scripts[0]):
            assert f"alter system reset {setting}" in injector.scripts[1]
    assert injector.scripts[2] == injector.scripts[1]


def test_a_slot_that_is_not_lost_leaves_nothing_behind() -> None:
    injector = FakeInjector()

    def run(host: str, script: str, **_: object) -> str:
        injector.scripts.append(script)
        if "alter system set" in script:
            raise HaError("the slot is not lost")
        return ""

    injector.run = run  # type: ignore[method-assign]
    with pytest.raises(HaError, match="not lost"), injected(FAULTS["slot-loss"], injector, TARGETS):
        pytest.fail("the block must not be entered")
    assert "alter system reset" in injector.scripts[-1]
    assert injector.nothing_is_broken


def test_without_a_nat_gateway_there_is_none_to_lose() -> None:
    injector = FakeInjector()
    injector.routes.gateways = []
    with pytest.raises(HaError, match="no NAT gateway"):
        FAULTS["route-loss"].inject(injector, TARGETS)


def test_the_bucket_refuses_the_database_hosts_and_nobody_else() -> None:
    injector = FakeInjector()
    FAULTS["archive-refusal"].inject(injector, TARGETS)
    FAULTS["archive-refusal"].inject(injector, TARGETS)
    kept, refusal = json.loads(injector.bucket.policy)["Statement"]
    assert kept == {"Sid": "TlsOnly"}
    assert refusal["Resource"] == [
        "arn:aws:s3:::ha-dev-backups-123456789012-us-east-1",
        "arn:aws:s3:::ha-dev-backups-123456789012-us-east-1/*",
    ]
    assert refusal["Condition"] == {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/ha-dev-db-*"}}


def test_a_switchover_is_what_operators_do(switched_over: list[object]) -> None:
    injector = FakeInjector()
    with injected(FAULTS["switchover"], injector, TARGETS):
        assert switched_over == [injector.estate]
    assert injector.scripts == []


def test_drills_are_named_by_tier_and_fault_and_need_known_faults() -> None:
    assert all(name == drill.name for name, drill in CATALOGUE.items())
    assert {f"db-{fault}" for fault in ("stop", "kill", "hang", "power-loss", "disk-full", "switchover")} <= set(
        CATALOGUE
    )


def test_an_unknown_drill_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(HaError, match="no such drill: 'db-earthquake'") as refused:
        find("db-earthquake")
    assert refused.value.exit_code == EXIT_USAGE
    assert "db-power-loss" in refused.value.fix


def test_a_drill_about_a_second_load_balancer_is_refused_where_there_is_none() -> None:
    with pytest.raises(HaError, match="needs two load balancer hosts") as refused:
        check_stack(find("lb-power-loss"), load_settings(STACKS, "dev"))
    assert refused.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("fault", "script"),
    [
        ("stop", "systemctl stop other"),
        ("kill", "kill -KILL $(head -1 /srv/data/other/postmaster.pid)"),
        ("switchover", "other hand over"),
    ],
)
def test_a_fault_hits_whatever_software_manages_the_database(fault: str, script: str) -> None:
    injector = FakeInjector()
    other = Software(unit="other", data="/srv/data/other", hand_over=on_targets("other hand over"))
    FAULTS[fault].inject(injector, replace(TARGETS, software=other))
    assert injector.scripts == [script]


def test_of_other_tiers_the_service_is_killed() -> None:
    injector = FakeInjector()
    FAULTS["kill"].inject(injector, replace(TARGETS, tier=Tier.APP, hosts=("app1",)))
    assert injector.scripts == ["systemctl kill --signal=KILL event-manager"]

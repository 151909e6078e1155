"""What is broken, and how it is healed. Each fault heals itself at the end of its block; healing twice is harmless."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from drills import soak
from drills.ground import ANY, Ground, Way
from drills.interrupts import held_back
from ops.switchover import hand_over
from spec.errors import HaError
from spec.tags import STACK_TAG
from spec.tiers import Tier

UNITS: Mapping[Tier, tuple[str, ...]] = {
    Tier.LB: ("haproxy",),
    Tier.APP: ("event-manager",),
    Tier.MONITOR: ("pgautofailover",),
    Tier.CACHE: ("redis-server",),
}
"""The services that a tier is there for, but for the database's."""
_FILLER = "/srv/data/ha-drill-filler"
_HOG = "ha-drill-hog"
Act: TypeAlias = "Callable[[Ground, Scene], None]"


@dataclass(frozen=True)
class Software:
    """What keeps the database pair: its service, PostgreSQL's data, and how it is handed over as planned."""

    unit: str
    data: str
    hand_over: Act


def _switch_over(ground: Ground, _: Scene) -> None:
    """What an operator does before work on the primary: `ha db switchover`."""
    hand_over(ground.estate, lambda _: None)


PG_AUTO_FAILOVER = Software(unit="pgautofailover", data="/srv/data/postgresql/main", hand_over=_switch_over)


@dataclass(frozen=True)
class Scene:
    """Who plays what, chosen when the drill begins. `targets`: the hosts to which it happens."""

    tier: Tier
    targets: tuple[str, ...]
    primary: str
    standby: str
    monitor: str
    software: Software = PG_AUTO_FAILOVER

    @property
    def units(self) -> str:
        return self.software.unit if self.tier is Tier.DB else " ".join(UNITS[self.tier])


@dataclass(frozen=True)
class Fault:
    """`passing`: over as soon as it happened, so there is nothing to hold or heal."""

    name: str
    inject: Act
    heal: Act
    passing: bool = False


@contextlib.contextmanager
def inflicted(
    fault: Fault, ground: Ground, scene: Scene, say: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """The fault, for as long as the block: also what was half done when it, or the block, was interrupted is healed.

    Signals end the block, but neither the injection nor the healing.
    """
    with held_back() as held:
        try:
            fault.inject(ground, scene)
            with held.let_through():
                yield
        finally:
            if held.came:
                say("interrupted: what was broken is healed first")
            try:
                fault.heal(ground, scene)
            except Exception as error:
                if held.came:  # which takes the place of the error
                    say(f"not healed: {error}")
                raise


def on_targets(script: str, *, check: bool = True) -> Act:
    """A script on every target; `{units}` in it stands for their services, `{software}` for what keeps the database."""

    def act(ground: Ground, scene: Scene) -> None:
        text = script.format(units=scene.units, software=scene.software)
        on_all(scene.targets, lambda host: ground.run(host, text, check=check))

    return act


def on_all(hosts: Sequence[str], action: Callable[[str], object]) -> None:
    """Does something to each host, in order. One at which it fails keeps it from no other; it is raised then."""
    with contextlib.ExitStack() as rest:
        for host in reversed(hosts):
            rest.callback(action, host)


def _each(action: Callable[[Ground, str], None]) -> Act:
    return lambda ground, scene: on_all(scene.targets, lambda host: action(ground, host))


def _blocked(name: str, ways: Callable[[Scene], Sequence[Way]]) -> Fault:
    return Fault(name, lambda ground, scene: ground.block(ways(scene)), lambda ground, _: ground.unblock())


def _both_ways(one: str, other: str) -> list[Way]:
    return [Way(one, other), Way(other, one)]


def _nothing(_: Ground, __: Scene) -> None:
    """There is nothing to heal."""


# The stop is given before the kill, or systemd starts the service again.
_STOP_AT_ONCE = "systemctl stop --no-block {units}; systemctl kill --signal=KILL {units}; systemctl stop {units}"
# The postmaster and its backends together, its keeper left alone: the kernel ended PostgreSQL.
_KILL_POSTGRES = on_targets("kill -KILL $(head -1 {software.data}/postmaster.pid)")
_POWER_ON = _each(lambda ground, host: ground.power_on(host))
_KILL_SERVICE = on_targets("systemctl kill --signal=KILL {units}")
_FILL = f"fallocate -l $(df --output=avail -B1 /srv/data | tail -1) {_FILLER}; sync"
# WAL files that are kept for use again would hide a full disk for minutes.
_SWITCH = (
    "for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do timeout 2 /usr/local/sbin/ha-postgres psql -Xq "
    "-d postgres -c 'insert into ha_drill_probe values (0)' -c 'select pg_switch_wal()' >/dev/null 2>&1 || exit 0; "
    "done; echo 'the database writes on: its volume is not full' >&2; exit 1"
)
_HOG_PROGRAM = (
    "import time; b=[]; n=int(open('/proc/meminfo').readline().split()[1])//1024*95//100"
    "\nwhile len(b)*16<n: b.append(bytearray(b'x')*(16<<20))\ntime.sleep(600)"
)
_HOG_START = (
    f"systemd-run --quiet --collect --unit={_HOG} --property=Restart=always --property=StartLimitIntervalSec=0"
    f' python3 -c "{_HOG_PROGRAM}"'
)
# It has half of the memory, or was ended for it.
_HOGGED = (
    "half=$(($(awk '/MemTotal/ {{print $2}}' /proc/meminfo) / 2)); i=0; "
    f"shown='systemctl show {_HOG} -P'; "
    'until [ "$($shown NRestarts)" != 0 ] || [ 0"$(ps -o rss= -p "$($shown MainPID)" | tr -d " ")" -gt "$half" ]; '
    "do i=$((i+1)); [ $i -lt 150 ] || {{ echo 'no memory was taken' >&2; exit 1; }}; sleep 0.2; done"
)
_HOG_STOP = f"systemctl stop {_HOG} 2>/dev/null; systemctl reset-failed {_HOG} 2>/dev/null; true"
_PSQL = "/usr/local/sbin/ha-postgres psql -Xq -d postgres"
_UNSAFE_S = 1.5
"""Shorter than wal_sender_timeout, so that nobody notices that the standby gets nothing."""
_SAFE_AGAIN = (
    "i=0; until "
    f"{_PSQL} -c 'alter system reset synchronous_commit' -c 'select pg_reload_conf()' >/dev/null 2>&1; do "
    "i=$((i+1)); [ $i -lt 200 ] || exit 1; sleep 0.5; done"
)
_SAFE_AGAIN_S = 180.0


def _kill(ground: Ground, scene: Scene) -> None:
    (_KILL_POSTGRES if scene.tier is Tier.DB else _KILL_SERVICE)(ground, scene)


def _lose_power_unsafely(ground: Ground, scene: Scene) -> None:
    """Breaks the promise on purpose: writes are acknowledged that no other node has, then their only holder is lost."""
    ground.run(scene.primary, f"{_PSQL} -c 'alter system set synchronous_commit = local' -c 'select pg_reload_conf()'")
    ground.block(_both_ways(scene.primary, scene.standby))
    time.sleep(_UNSAFE_S)
    ground.power_loss(scene.primary)
    ground.unblock()


def _safe_again(ground: Ground, scene: Scene) -> None:
    with contextlib.ExitStack() as rest:
        for host in (scene.standby, scene.primary):
            rest.callback(ground.run, host, _SAFE_AGAIN, timeout_s=_SAFE_AGAIN_S)
        rest.callback(ground.power_on, scene.primary)
        rest.callback(ground.unblock)


def _nat_routes(ground: Ground) -> list[dict[str, Any]]:
    """The stack's private route tables and the NAT gateway that each has, or would have, as its way out.

    :raises HaError: when there is none.
    """
    ec2 = ground.estate.client("ec2")
    filters = [{"Name": f"tag:{STACK_TAG}", "Values": [ground.estate.stack]}]
    gateways = ec2.describe_nat_gateways(Filter=[*filters, {"Name": "state", "Values": ["available"]}])["NatGateways"]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    public = {t["RouteTableId"] for t in tables if any(r.get("GatewayId", "").startswith("igw-") for r in t["Routes"])}
    private = [t for t in tables if t["RouteTableId"] not in public]
    if not gateways or not private:
        raise HaError("no NAT gateway, or no route table that would use it", where=ground.estate.stack)
    return [
        {"table": t["RouteTableId"], "gateway": gateways[0]["NatGatewayId"], "present": _has_nat(t)} for t in private
    ]


def _has_nat(table: dict[str, Any]) -> bool:
    return any(route.get("NatGatewayId") for route in table["Routes"])


def _lose_nat(ground: Ground, _: Scene) -> None:
    ec2 = ground.estate.client("ec2")
    for one in _nat_routes(ground):
        if one["present"]:
            ec2.delete_route(RouteTableId=one["table"], DestinationCidrBlock="0.0.0.0/0")


def _restore_nat(ground: Ground, _: Scene) -> None:
    ec2 = ground.estate.client("ec2")
    for one in _nat_routes(ground):
        if not one["present"]:
            ec2.create_route(RouteTableId=one["table"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=one["gateway"])


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("stop", on_targets("systemctl stop {units}"), on_targets("systemctl start {units}")),
        Fault("stop-no-drain", on_targets(_STOP_AT_ONCE), on_targets("systemctl start {units}")),
        Fault("kill", _kill, _nothing, passing=True),
        Fault(
            "hang",
            on_targets("systemctl kill --signal=STOP {units}"),
            on_targets("systemctl kill --signal=CONT {units}"),
        ),
        Fault("host-kill", _each(lambda ground, host: ground.crash(host)), _POWER_ON),
        Fault("power-loss", _each(lambda ground, host: ground.power_loss(host)), _POWER_ON),
        Fault(
            "network-cut", _each(lambda ground, host: ground.cut(host)), _each(lambda ground, host: ground.mend(host))
        ),
        # One way: what the target sends arrives, what it is sent does not.
        _blocked("packet-loss", lambda scene: [Way(ANY, host) for host in scene.targets]),
        _blocked("partition-monitor", lambda scene: _both_ways(scene.primary, scene.monitor)),
        _blocked("partition-peer", lambda scene: _both_ways(scene.primary, scene.standby)),
        _blocked(
            "partition-both",
            lambda scene: [*_both_ways(scene.primary, scene.monitor), *_both_ways(scene.primary, scene.standby)],
        ),
        Fault("disk-full", on_targets(f"{_FILL}; {_SWITCH}"), on_targets(f"rm -f {_FILLER}")),
        # What a volume that answers nothing looks like from above: writes wait, reads of what is cached do not.
        # Thawing fails where nothing is frozen.
        Fault(
            "disk-stall",
            on_targets("fsfreeze --freeze /srv/data"),
            on_targets("fsfreeze --unfreeze /srv/data", check=False),
        ),
        Fault("memory-pressure", on_targets(f"{_HOG_START}; {_HOGGED}"), on_targets(_HOG_STOP)),
        Fault("switchover", lambda ground, scene: scene.software.hand_over(ground, scene), _nothing, passing=True),
        Fault("unsafe-power-loss", _lose_power_unsafely, _safe_again),
        Fault("route-loss", _lose_nat, _restore_nat),
        Fault(
            "stress",
            lambda ground, scene: soak.begin(ground, scene.primary, scene.standby, scene.monitor),
            lambda ground, scene: soak.end(ground, scene.primary, scene.standby),
        ),
    )
}

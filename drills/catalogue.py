"""The drills, as data."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from drills import promises
from drills.faults import FAULTS, PG_AUTO_FAILOVER, Fault, Scene, Software
from drills.promises import Promise
from ops.status import Status
from spec.errors import EXIT_USAGE, HaError
from spec.settings import Settings
from spec.tiers import Tier


class Role(StrEnum):
    """Who is hit; which host that is depends on the estate at that moment."""

    PRIMARY = "primary"
    STANDBY = "standby"
    ONE = "one of the tier"
    MONITOR = "monitor"
    MONITOR_AND_STANDBY = "monitor and standby"
    ZONE = "the primary's zone"
    NAT = "nat gateway"
    PAIR = "both database hosts"


@dataclass(frozen=True)
class Drill:
    """A fault, who it hits, how long it lasts and what is promised."""

    name: str
    fault: Fault
    tier: Tier
    role: Role
    promise: Promise
    hold_s: float = 20.0
    """How long the fault lasts before it is healed; long enough to see the estate cope without it."""
    hold_at_most_s: float = 0.0
    """It lasts on for so long at most while no write gets through: for an estate that takes longer to cope."""
    redundant_within_s: float = 150.0
    needs: Tier | None = None
    """A tier that has to have two hosts, or else nothing could be promised."""
    proof: bool = False
    """Breaks a promise on purpose, to show that a drill sees it; no result to keep."""


def _drill(tier: Tier, fault: str, role: Role, promise: Promise, needs: Tier | None = None) -> Drill:
    # The database is given the longest: it has to have failed over before the fault is healed.
    hold_s = 12.0 if tier is Tier.DB else 10.0
    return Drill(f"{tier}-{fault}", FAULTS[fault], tier, role, promise, hold_s=hold_s, needs=needs)


_HOST_FAULTS = ("stop", "stop-no-drain", "kill", "hang", "host-kill", "power-loss", "network-cut", "packet-loss")
_DATABASE_FAULTS = (
    *_HOST_FAULTS,
    *("partition-monitor", "partition-peer", "partition-both", "disk-full", "memory-pressure"),
)
_POWER_LOSS = FAULTS["power-loss"]

CATALOGUE: Mapping[str, Drill] = {
    drill.name: drill
    for drill in (
        *(_drill(Tier.APP, fault, Role.ONE, promises.APPLICATION) for fault in _HOST_FAULTS),
        *(_drill(Tier.DB, fault, Role.PRIMARY, promises.DATABASE) for fault in _DATABASE_FAULTS),
        _drill(Tier.DB, "switchover", Role.PRIMARY, promises.SWITCHOVER),
        Drill("db-standby-power-loss", _POWER_LOSS, Tier.DB, Role.STANDBY, promises.DATABASE),
        Drill("db-disk-stall", FAULTS["disk-stall"], Tier.DB, Role.PRIMARY, promises.STALLED_DISK),
        Drill("db-standby-disk-stall", FAULTS["disk-stall"], Tier.DB, Role.STANDBY, promises.STALLED_DISK),
        *(_drill(Tier.LB, fault, Role.ONE, promises.LOAD_BALANCER, Tier.LB) for fault in _HOST_FAULTS),
        *(_drill(Tier.CACHE, fault, Role.ONE, promises.CACHE, Tier.CACHE) for fault in _HOST_FAULTS if fault != "kill"),
        # It comes back by itself, also where there is one alone.
        _drill(Tier.CACHE, "kill", Role.ONE, promises.CACHE),
        # As long as somebody may take to be told of it.
        Drill("monitor-power-loss", _POWER_LOSS, Tier.MONITOR, Role.MONITOR, promises.MONITOR, hold_s=120.0),
        *(
            Drill(f"monitor-{fault}", FAULTS[fault], Tier.MONITOR, Role.MONITOR, promises.UNNOTICED)
            for fault in _HOST_FAULTS
            if fault != "power-loss"
        ),
        Drill("monitor-and-standby-power-loss", _POWER_LOSS, Tier.MONITOR, Role.MONITOR_AND_STANDBY, promises.SAFE),
        Drill(
            "db-unsafe-power-loss", FAULTS["unsafe-power-loss"], Tier.DB, Role.PRIMARY, promises.DATABASE, proof=True
        ),
        Drill("soak", FAULTS["stress"], Tier.DB, Role.PAIR, promises.SOAK, hold_s=1800.0),
        Drill("nat-power-loss", FAULTS["route-loss"], Tier.LB, Role.NAT, promises.UNNOTICED),
        Drill("zone-power-loss", _POWER_LOSS, Tier.DB, Role.ZONE, promises.ZONE, needs=Tier.LB),
        Drill("zone-network-cut", FAULTS["network-cut"], Tier.DB, Role.ZONE, promises.ZONE, needs=Tier.LB),
    )
}


def find(name: str) -> Drill:
    """A drill by name. :raises HaError: with exit code 2, naming those that there are."""
    try:
        return CATALOGUE[name]
    except KeyError:
        raise HaError(
            f"there is no drill {name!r}",
            where="ha drill run",
            fix=f"one of {', '.join(CATALOGUE)}",
            exit_code=EXIT_USAGE,
        ) from None


def runnable(settings: Settings) -> list[Drill]:
    """The drills that a stack can take, without those that break a promise on purpose."""
    found = []
    for drill in CATALOGUE.values():
        with contextlib.suppress(HaError):
            check_shape(drill, settings)
            if not drill.proof:
                found.append(drill)
    return found


def check_shape(drill: Drill, settings: Settings) -> None:
    """:raises HaError: with exit code 2 when the stack lacks what the drill is about."""
    if drill.needs is not None and sum(host.tier is drill.needs for host in settings.plan_hosts()) < 2:
        raise HaError(
            f"{drill.name} needs two {drill.needs.role} hosts, the stack has one",
            where=f"settings, {drill.needs}: count 1",
            fix="boot one without a single point of failure: `ha lab down`, `ha lab up --stack prod`",
            exit_code=EXIT_USAGE,
        )


def scene_of(drill: Drill, status: Status, software: Software = PG_AUTO_FAILOVER) -> Scene:
    """Who is hit, from the status of a healthy estate."""
    by_tier = {tier: [h.name for h in status.hosts if h.role == tier.role] for tier in Tier}
    primary, standby = status.database.primary or "", status.database.standby or ""
    monitor = by_tier[Tier.MONITOR][0]
    zone = next((h.zone for h in status.hosts if h.name == primary), "")
    active = {Tier.LB: status.load_balancer.active, Tier.CACHE: status.cache.primary}.get(drill.tier)
    targets = {
        Role.PRIMARY: (primary,),
        Role.STANDBY: (standby,),
        Role.ONE: (active or by_tier[drill.tier][0],),
        Role.MONITOR: (monitor,),
        Role.MONITOR_AND_STANDBY: (monitor, standby),
        Role.ZONE: tuple(h.name for h in status.hosts if h.zone == zone),
        Role.NAT: (),
        Role.PAIR: (primary, standby),
    }[drill.role]
    return Scene(drill.tier, targets, primary, standby, monitor, software)

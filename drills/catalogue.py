"""The drills: which fault hits which hosts, or which change is applied to them, and what is promised then."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from drills import promises
from drills.changes import CHANGES, Change, Expected
from drills.faults import FAULTS, NO_FAULT, PG_AUTO_FAILOVER, Fault, Software, Targets
from drills.promises import Promise
from drills.recoveries import Recovery
from ops.status import Status
from spec.errors import EXIT_USAGE, HaError
from spec.settings import Settings
from spec.tiers import Tier


class Role(StrEnum):
    """Which hosts are hit, by their role when the drill begins."""

    PRIMARY = "primary"
    STANDBY = "standby"
    ONE = "one of the tier"
    TIER = "all of the tier, one by one"
    ALL = "all hosts, one by one"
    MONITOR = "monitor"
    MONITOR_AND_STANDBY = "monitor and standby"
    ZONE = "the primary's zone"
    NAT = "nat gateway"
    PAIR = "both database hosts"


@dataclass(frozen=True)
class Drill:
    """A fault, what it hits, how long it lasts, and what is promised."""

    name: str
    fault: Fault
    tier: Tier
    role: Role
    promise: Promise
    hold_s: float = 20.0
    """How long the fault lasts: long enough for the estate to recover without it being healed."""
    hold_at_most_s: float = 0.0
    """While no write is acknowledged, the fault lasts longer than `hold_s`, but at most this long."""
    redundant_within_s: float = 150.0
    """How long after the healing the estate may take to be redundant again."""
    needs: Tier | None = None
    """A tier of which the stack must have two hosts."""
    self_test: bool = False
    """Breaks a promise on purpose, to show that a drill notices it. Its results are not kept."""
    change: Change | None = None
    """Applied by an `up`; after `hold_s` another one brings this checkout back. A fault comes in the middle, when the
    first host has the change, and is healed `hold_s` later, whatever the `up` does.
    """
    recovery: Recovery | None = None
    """Backups and restores, with the fault in the middle of them."""
    promise_alone: Promise | None = None
    """What is promised instead where the tier has one host."""


def _drill(tier: Tier, fault: str, role: Role, promise: Promise, needs: Tier | None = None) -> Drill:
    # The database needs the longest: it must have failed over before the fault is healed.
    hold_s = 12.0 if tier is Tier.DB else 10.0
    return Drill(f"{tier}-{fault}", FAULTS[fault], tier, role, promise, hold_s=hold_s, needs=needs)


def _change(change: Change) -> Drill:
    everywhere = len(change.tiers) == len(Tier)
    role, promise, alone = Role.ALL if everywhere else Role.TIER, promises.CHANGE, None
    fault, hold_s = NO_FAULT, 5.0
    match change.expected:
        case Expected.REFUSED:
            promise = promises.REFUSED_CHANGE
        case Expected.INTERRUPTED:
            promise, fault = promises.INTERRUPTED_CHANGE, FAULTS["engine-kill"]
        case Expected.SETTLED:
            role, promise, fault, hold_s = Role.PRIMARY, promises.CHANGE_AND_FAILOVER, FAULTS["power-loss"], 12.0
    if change.name == "change-config-cache":
        alone = promises.CACHE_RESTART  # no setting of Redis is loaded without a restart
    return Drill(change.name, fault, change.tiers[0], role, promise, hold_s=hold_s, change=change, promise_alone=alone)


def _recovery(recovery: Recovery, fault: Fault, promise: Promise, hold_s: float) -> Drill:
    return Drill(recovery, fault, Tier.DB, Role.PRIMARY, promise, hold_s=hold_s, recovery=recovery)


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
        Drill(
            "standby-slot-lost",
            FAULTS["slot-loss"],
            Tier.DB,
            Role.STANDBY,
            promises.COPIED_ANEW,
            redundant_within_s=120.0,
        ),
        Drill("db-disk-stall", FAULTS["disk-stall"], Tier.DB, Role.PRIMARY, promises.STALLED_DISK),
        Drill("db-standby-disk-stall", FAULTS["disk-stall"], Tier.DB, Role.STANDBY, promises.STALLED_DISK),
        *(_drill(Tier.LB, fault, Role.ONE, promises.LOAD_BALANCER, Tier.LB) for fault in _HOST_FAULTS),
        *(_drill(Tier.CACHE, fault, Role.ONE, promises.CACHE, Tier.CACHE) for fault in _HOST_FAULTS if fault != "kill"),
        # systemd starts Redis again, so one host is enough.
        _drill(Tier.CACHE, "kill", Role.ONE, promises.CACHE),
        # Held for as long as it may take until somebody is paged.
        Drill("monitor-power-loss", _POWER_LOSS, Tier.MONITOR, Role.MONITOR, promises.MONITOR, hold_s=120.0),
        *(
            Drill(f"monitor-{fault}", FAULTS[fault], Tier.MONITOR, Role.MONITOR, promises.UNNOTICED)
            for fault in _HOST_FAULTS
            if fault != "power-loss"
        ),
        Drill("monitor-and-standby-power-loss", _POWER_LOSS, Tier.MONITOR, Role.MONITOR_AND_STANDBY, promises.SAFE),
        Drill(
            "db-unsafe-power-loss",
            FAULTS["unsafe-power-loss"],
            Tier.DB,
            Role.PRIMARY,
            promises.DATABASE,
            self_test=True,
        ),
        Drill("soak", FAULTS["stress"], Tier.DB, Role.PAIR, promises.SOAK, hold_s=1800.0),
        Drill("nat-power-loss", FAULTS["route-loss"], Tier.LB, Role.NAT, promises.UNNOTICED),
        Drill("zone-power-loss", _POWER_LOSS, Tier.DB, Role.ZONE, promises.ZONE, needs=Tier.LB),
        Drill("zone-network-cut", FAULTS["network-cut"], Tier.DB, Role.ZONE, promises.ZONE, needs=Tier.LB),
        *(_change(one) for one in CHANGES.values()),
        _recovery(Recovery.RESTORE_TO_TIME, NO_FAULT, promises.RESTORED, 10.0),
        _recovery(Recovery.RESTORE_THROUGH_FAILOVER, _POWER_LOSS, promises.RESTORED_THROUGH_FAILOVER, 12.0),
        _recovery(Recovery.BACKUP_DURING_FAILOVER, _POWER_LOSS, promises.BACKUP_DURING_FAILOVER, 12.0),
        _recovery(Recovery.ARCHIVE_UNREACHABLE, FAULTS["archive-refusal"], promises.ARCHIVE_UNREACHABLE, 600.0),
    )
}


def find(name: str) -> Drill:
    """The drill of this name. :raises HaError: with exit code 2, and the names of all drills."""
    try:
        return CATALOGUE[name]
    except KeyError:
        raise HaError(
            f"no such drill: {name!r}",
            where="ha drill run",
            fix=f"name one of {', '.join(CATALOGUE)}",
            exit_code=EXIT_USAGE,
        ) from None


def runnable(settings: Settings) -> list[Drill]:
    """The drills whose hosts the stack has, without self-tests."""
    found = []
    for drill in CATALOGUE.values():
        with contextlib.suppress(HaError):
            check_stack(drill, settings)
            if not drill.self_test:
                found.append(drill)
    return found


def check_stack(drill: Drill, settings: Settings) -> None:
    """Refuses a drill on a stack without the hosts that it needs. :raises HaError: with exit code 2."""
    if drill.needs is not None and sum(host.tier is drill.needs for host in settings.plan_hosts()) < 2:
        raise HaError(
            f"{drill.name} needs two {drill.needs.role} hosts; the stack has one",
            where=f"settings, {drill.needs.traits.settings_group}.count",
            fix="use a stack with two: `ha lab down`, then `ha lab up --stack prod`",
            exit_code=EXIT_USAGE,
        )


def on_stack(drill: Drill, settings: Settings) -> Drill:
    """The drill with what it promises on this stack."""
    if drill.promise_alone is not None and settings.host_count(drill.tier) == 1:
        return replace(drill, promise=drill.promise_alone)
    return drill


def targets_of(drill: Drill, status: Status, software: Software = PG_AUTO_FAILOVER) -> Targets:
    """The hosts that the drill hits, from the status of a healthy estate."""
    by_tier = {tier: [h.name for h in status.hosts if h.role == tier.role] for tier in Tier}
    primary, standby = status.database.primary or "", status.database.standby or ""
    monitor = by_tier[Tier.MONITOR][0]
    zone = next((h.zone for h in status.hosts if h.name == primary), "")
    active = {Tier.LB: status.load_balancer.active, Tier.CACHE: status.cache.primary}.get(drill.tier)
    hosts = {
        Role.PRIMARY: (primary,),
        Role.STANDBY: (standby,),
        Role.ONE: (active or by_tier[drill.tier][0],),
        Role.TIER: tuple(by_tier[drill.tier]),
        Role.ALL: tuple(h.name for h in status.hosts),
        Role.MONITOR: (monitor,),
        Role.MONITOR_AND_STANDBY: (monitor, standby),
        Role.ZONE: tuple(h.name for h in status.hosts if h.zone == zone),
        Role.NAT: (),
        Role.PAIR: (primary, standby),
    }[drill.role]
    return Targets(drill.tier, hosts, primary, standby, monitor, software)

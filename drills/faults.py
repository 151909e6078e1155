"""What each fault breaks and how it is healed. Healing is safe to repeat, and to do when nothing is broken."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from drills import soak
from drills.deferred_signals import defer_signals
from drills.fault_injector import ANY, FaultInjector, NetworkPath
from ops.postgres import ADMIN_DATABASE, psql_command
from ops.scope import scope_of
from ops.switchover import hand_over
from spec.errors import HaError
from spec.tags import STACK_TAG
from spec.tiers import Tier

_FILLER = "/srv/data/ha-drill-filler"
_HOG = "ha-drill-hog"
_REFUSAL = "HaDrill"
Action: TypeAlias = "Callable[[FaultInjector, Targets], None]"


@dataclass(frozen=True)
class Software:
    """What manages the database pair: its service, PostgreSQL's data directory, and how to switch over."""

    unit: str
    data: str
    hand_over: Action


def _switch_over(injector: FaultInjector, _: Targets) -> None:
    """As an operator does before work on the primary: `ha db switchover`."""
    hand_over(injector.estate, lambda _: None)


PG_AUTO_FAILOVER = Software(unit=Tier.DB.traits.main_unit, data="/srv/data/postgresql/main", hand_over=_switch_over)


@dataclass(frozen=True)
class Targets:
    """The hosts that the fault hits, and the database's hosts by role; chosen when the drill begins."""

    tier: Tier
    hosts: tuple[str, ...]
    primary: str
    standby: str
    monitor: str
    software: Software = PG_AUTO_FAILOVER

    @property
    def unit(self) -> str:
        """The main systemd unit of the hosts that are hit."""
        return self.software.unit if self.tier is Tier.DB else self.tier.traits.main_unit


@dataclass(frozen=True)
class Fault:
    """`instantaneous`: over as soon as it happened. There is nothing to hold, and nothing to heal."""

    name: str
    inject: Action
    heal: Action
    instantaneous: bool = False


@contextlib.contextmanager
def injected(
    fault: Fault, injector: FaultInjector, targets: Targets, say: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Injects the fault, and heals it at the end of the block, also when the injection failed or was interrupted.

    A signal ends the block. During injection and healing it waits.
    """
    with defer_signals() as signals:
        try:
            fault.inject(injector, targets)
            with signals.delivered():
                yield
        finally:
            if signals.received:
                say("interrupted: healing the fault first")
            try:
                fault.heal(injector, targets)
            except Exception as error:
                if signals.received:  # KeyboardInterrupt replaces the error
                    say(f"not healed: {error}")
                raise


def on_targets(script: str, *, check: bool = True) -> Action:
    """Runs a script on each target; `{unit}` in it is their main service, `{software}` what manages the database."""

    def act(injector: FaultInjector, targets: Targets) -> None:
        text = script.format(unit=targets.unit, software=targets.software)
        for_each_host(targets.hosts, lambda host: injector.run(host, text, check=check))

    return act


def for_each_host(hosts: Sequence[str], action: Callable[[str], object]) -> None:
    """Calls `action` for each host in order, for the others too when it fails for one; then raises that error."""
    with contextlib.ExitStack() as rest:
        for host in reversed(hosts):
            rest.callback(action, host)


def _on_each_target(action: Callable[[FaultInjector, str], None]) -> Action:
    return lambda injector, targets: for_each_host(targets.hosts, lambda host: action(injector, host))


def _blocked(name: str, paths: Callable[[Targets], Sequence[NetworkPath]]) -> Fault:
    return Fault(name, lambda injector, targets: injector.block(paths(targets)), lambda injector, _: injector.unblock())


def _both_directions(one: str, other: str) -> list[NetworkPath]:
    return [NetworkPath(one, other), NetworkPath(other, one)]


def _nothing_to_heal(_: FaultInjector, __: Targets) -> None:
    pass


NO_FAULT = Fault("none", _nothing_to_heal, _nothing_to_heal, instantaneous=True)
"""Of a drill that only changes what the estate runs."""


# Without the queued stop systemd would start the killed service again.
_STOP_AT_ONCE = "systemctl stop --no-block {unit}; systemctl kill --signal=KILL {unit}; systemctl stop {unit}"
# PostgreSQL, but not its keeper: its other processes end with the postmaster.
_KILL_POSTGRES = on_targets("kill -KILL $(head -1 {software.data}/postmaster.pid)")
_POWER_ON = _on_each_target(lambda injector, host: injector.power_on(host))
_KILL_SERVICE = on_targets("systemctl kill --signal=KILL {unit}")
_FILL = f"fallocate -l $(df --output=avail -B1 /srv/data | tail -1) {_FILLER}; sync"
# PostgreSQL keeps WAL files to use them again: with those it could write for minutes on a full volume.
_USE_UP_WAL_FILES = (
    "for _ in $(seq 20); do timeout 2 "
    + psql_command(ADMIN_DATABASE, "select pg_logical_emit_message(true, 'ha', 'drill')", "select pg_switch_wal()")
    + " >/dev/null 2>&1 || exit 0; done; echo 'PostgreSQL still writes: the volume is not full' >&2; exit 1"
)
_HOG_PROGRAM = (
    "import time; b=[]; n=int(open('/proc/meminfo').readline().split()[1])//1024*95//100"
    "\nwhile len(b)*16<n: b.append(bytearray(b'x')*(16<<20))\ntime.sleep(600)"
)
_HOG_START = (
    f"systemd-run --quiet --collect --unit={_HOG} --property=Restart=always --property=StartLimitIntervalSec=0"
    f' python3 -c "{_HOG_PROGRAM}"'
)
# Until it has half of the memory, or the kernel killed it once.
_HOG_AWAIT = (
    "half=$(($(awk '/MemTotal/ {{print $2}}' /proc/meminfo) / 2)); i=0; "
    f"shown='systemctl show {_HOG} -P'; "
    'until [ "$($shown NRestarts)" != 0 ] || [ 0"$(ps -o rss= -p "$($shown MainPID)" | tr -d " ")" -gt "$half" ]; '
    "do i=$((i+1)); [ $i -lt 150 ] || {{ echo 'the memory was not filled within 30 s' >&2; exit 1; }}; sleep 0.2; done"
)
_HOG_STOP = f"systemctl stop {_HOG} 2>/dev/null; systemctl reset-failed {_HOG} 2>/dev/null; true"
_UNSAFE_S = 1.5
"""Shorter than wal_sender_timeout: nothing notices that the standby receives no WAL."""
_RELOAD = "select pg_reload_conf()"
_LOST_SLOTS = "select count(*) from pg_replication_slots where wal_status = 'lost'"
_SYNCHRONOUS_AGAIN = (
    f"i=0; until {psql_command(ADMIN_DATABASE, 'alter system reset synchronous_commit', _RELOAD)} >/dev/null 2>&1; do "
    "i=$((i+1)); [ $i -lt 200 ] || exit 1; sleep 0.5; done"
)
_SYNCHRONOUS_AGAIN_S = 180.0


_SEGMENTS = 4
"""Few, as pg_auto_failover takes a standby that lags less than 16 MiB for one that has caught up: the worse case."""
# No setting keeps WAL for the slot, so the next checkpoint removes what the standby lacks. Nothing here waits for the
# standby: only a transaction with changes would.
_LOSE_SLOT = (
    "for _ in $(seq 60); do "
    + psql_command(
        ADMIN_DATABASE,
        "alter system set max_slot_wal_keep_size = '1MB'",
        "alter system set wal_keep_size = 0",
        _RELOAD,
        *("select pg_logical_emit_message(false, 'ha', 'drill')", "select pg_switch_wal()") * _SEGMENTS,
        "checkpoint",
    )
    + " >/dev/null; "
    + f'[ "$({psql_command(ADMIN_DATABASE, _LOST_SLOTS)})" = 0 ] || exit 0; sleep 1; done; '
    + "echo 'the slot of the standby is not lost after a minute' >&2; exit 1"
)
_LOSE_SLOT_S = 180.0
_KEEP_WAL_AGAIN = psql_command(
    ADMIN_DATABASE, "alter system reset max_slot_wal_keep_size", "alter system reset wal_keep_size", _RELOAD
)


def _kill(injector: FaultInjector, targets: Targets) -> None:
    (_KILL_POSTGRES if targets.tier is Tier.DB else _KILL_SERVICE)(injector, targets)


def _lose_power_unsafely(injector: FaultInjector, targets: Targets) -> None:
    """Breaks the promise on purpose: the primary acknowledges writes that the standby does not have, and is lost."""
    injector.run(targets.primary, psql_command(ADMIN_DATABASE, "alter system set synchronous_commit = local", _RELOAD))
    injector.block(_both_directions(targets.primary, targets.standby))
    time.sleep(_UNSAFE_S)
    injector.power_loss(targets.primary)
    injector.unblock()


def _make_safe_again(injector: FaultInjector, targets: Targets) -> None:
    with contextlib.ExitStack() as rest:
        for host in (targets.standby, targets.primary):
            rest.callback(injector.run, host, _SYNCHRONOUS_AGAIN, timeout_s=_SYNCHRONOUS_AGAIN_S)
        rest.callback(injector.power_on, targets.primary)
        rest.callback(injector.unblock)


def _lose_slot(injector: FaultInjector, targets: Targets) -> None:
    """The standby is away until the primary has removed WAL that it lacks. The settings do not stay: a copy of the
    primary's data has them too.
    """
    injector.power_loss(targets.standby)
    try:
        injector.run(targets.primary, _LOSE_SLOT, timeout_s=_LOSE_SLOT_S)
    finally:
        injector.run(targets.primary, _KEEP_WAL_AGAIN)


def _bring_standby_back(injector: FaultInjector, targets: Targets) -> None:
    with contextlib.ExitStack() as rest:
        rest.callback(injector.power_on, targets.standby)
        rest.callback(injector.run, targets.primary, _KEEP_WAL_AGAIN)


def _nat_routes(injector: FaultInjector) -> list[dict[str, Any]]:
    """The stack's private route tables, the NAT gateway that their default route uses, and whether it is there now.

    :raises HaError: when the stack has no NAT gateway.
    """
    ec2 = injector.estate.client("ec2")
    filters = [{"Name": f"tag:{STACK_TAG}", "Values": [injector.estate.stack]}]
    gateways = ec2.describe_nat_gateways(Filter=[*filters, {"Name": "state", "Values": ["available"]}])["NatGateways"]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    public = {t["RouteTableId"] for t in tables if any(r.get("GatewayId", "").startswith("igw-") for r in t["Routes"])}
    private = [t for t in tables if t["RouteTableId"] not in public]
    if not gateways or not private:
        raise HaError(
            "no NAT gateway is available, or no route table that would use it",
            where=injector.estate.stack,
            fix="`ha lab up` makes what is missing",
        )
    return [
        {"table": t["RouteTableId"], "gateway": gateways[0]["NatGatewayId"], "present": _has_nat(t)} for t in private
    ]


def _has_nat(table: dict[str, Any]) -> bool:
    return any(route.get("NatGatewayId") for route in table["Routes"])


def _lose_nat(injector: FaultInjector, _: Targets) -> None:
    ec2 = injector.estate.client("ec2")
    for one in _nat_routes(injector):
        if one["present"]:
            ec2.delete_route(RouteTableId=one["table"], DestinationCidrBlock="0.0.0.0/0")


def _restore_nat(injector: FaultInjector, _: Targets) -> None:
    ec2 = injector.estate.client("ec2")
    for one in _nat_routes(injector):
        if not one["present"]:
            ec2.create_route(RouteTableId=one["table"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=one["gateway"])


def _refuse_archive(injector: FaultInjector, _: Targets) -> None:
    """The bucket of the backups refuses the database hosts."""
    scope = scope_of(injector.estate, injector.settings)
    bucket = scope.bucket_arn(scope.backup_bucket)
    role = f"arn:{scope.partition}:iam::{scope.account}:role/{scope.project}-{scope.stack}-{Tier.DB}-*"
    refusal = {
        "Sid": _REFUSAL,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"ArnLike": {"aws:PrincipalArn": role}},
    }
    _set_refusals(injector, [refusal])


def _accept_archive(injector: FaultInjector, _: Targets) -> None:
    _set_refusals(injector, [])


def _set_refusals(injector: FaultInjector, refusals: Sequence[dict[str, Any]]) -> None:
    """Makes these the only refusals of a drill in the policy of the backups' bucket."""
    bucket, s3 = scope_of(injector.estate, injector.settings).backup_bucket, injector.estate.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    policy["Statement"] = [one for one in policy["Statement"] if one.get("Sid") != _REFUSAL]
    policy["Statement"] += refusals
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("stop", on_targets("systemctl stop {unit}"), on_targets("systemctl start {unit}")),
        Fault("stop-no-drain", on_targets(_STOP_AT_ONCE), on_targets("systemctl start {unit}")),
        Fault("kill", _kill, _nothing_to_heal, instantaneous=True),
        Fault(
            "hang",
            on_targets("systemctl kill --signal=STOP {unit}"),
            on_targets("systemctl kill --signal=CONT {unit}"),
        ),
        Fault("host-kill", _on_each_target(lambda injector, host: injector.crash(host)), _POWER_ON),
        Fault("power-loss", _on_each_target(lambda injector, host: injector.power_loss(host)), _POWER_ON),
        Fault(
            "network-cut",
            _on_each_target(lambda injector, host: injector.disconnect(host)),
            _on_each_target(lambda injector, host: injector.reconnect(host)),
        ),
        # In one direction: what the target sends arrives, what is sent to it does not.
        _blocked("packet-loss", lambda targets: [NetworkPath(ANY, host) for host in targets.hosts]),
        _blocked("partition-monitor", lambda targets: _both_directions(targets.primary, targets.monitor)),
        _blocked("partition-peer", lambda targets: _both_directions(targets.primary, targets.standby)),
        _blocked(
            "partition-both",
            lambda targets: [
                *_both_directions(targets.primary, targets.monitor),
                *_both_directions(targets.primary, targets.standby),
            ],
        ),
        Fault("disk-full", on_targets(f"{_FILL}; {_USE_UP_WAL_FILES}"), on_targets(f"rm -f {_FILLER}")),
        # As with a volume that does not answer: writes wait, reads from the cache do not.
        # Unfreezing fails where nothing is frozen.
        Fault(
            "disk-stall",
            on_targets("fsfreeze --freeze /srv/data"),
            on_targets("fsfreeze --unfreeze /srv/data", check=False),
        ),
        Fault("memory-pressure", on_targets(f"{_HOG_START}; {_HOG_AWAIT}"), on_targets(_HOG_STOP)),
        Fault(
            "switchover",
            lambda injector, targets: targets.software.hand_over(injector, targets),
            _nothing_to_heal,
            instantaneous=True,
        ),
        Fault("engine-kill", lambda injector, _: injector.kill_engine(), _nothing_to_heal, instantaneous=True),
        Fault("unsafe-power-loss", _lose_power_unsafely, _make_safe_again),
        Fault("slot-loss", _lose_slot, _bring_standby_back),
        Fault("route-loss", _lose_nat, _restore_nat),
        Fault("archive-refusal", _refuse_archive, _accept_archive),
        Fault(
            "stress",
            lambda injector, targets: soak.start(injector, targets.primary, targets.standby, targets.monitor),
            lambda injector, targets: soak.stop(injector, targets.primary, targets.standby),
        ),
    )
}

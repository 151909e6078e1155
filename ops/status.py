"""The state of an estate: who is primary, what lags, what is down. Hosts report it; this module evaluates it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from ops.console import last_lines
from ops.estate import CommandFailed, Estate, Instance
from ops.runs import Runs, mapping
from spec.pointer import Pointer
from spec.tiers import Tier

NOTHING_NAMED: Mapping[Tier, Pointer] = {}
POLL_S = 1.0
"""Between two looks at an estate that is waited for."""
SETTLES_S = 30.0
"""A host's one late answer is no reason to refuse a change: an estate that is healthy is seen so within this."""
HostState = Literal["stopped", "booting", "ready", "failed", "unreachable"]


class HostStatus(BaseModel):
    """One host. `state`: `booting` while its set-up runs, `failed` when a step of it failed (`detail` names it).

    `bundle` and `release`: digests of what is in place on it; empty when it does not say. `console`: of one that is
    `unreachable`, what it printed there last (see `with_consoles`).
    """

    name: str
    instance_id: str
    role: str
    address: str
    zone: str
    state: HostState
    healthy: bool
    detail: str
    bundle: str
    release: str
    console: list[str] = []


class DatabaseStatus(BaseModel):
    """`replication`: `sync` when the standby must confirm each commit, `async`, or `none`."""

    primary: str | None
    standby: str | None
    replication: Literal["sync", "async", "none"]
    lag_bytes: int | None


class BackupStatus(BaseModel):
    """What the primary last saw, without asking the repository again: `ha db backups` does.

    `newest`: when the newest backup began. `waiting_segments` of WAL are not archived yet, the first of them for
    `waiting_s` seconds. Null: not known.
    """

    newest: datetime | None
    waiting_segments: int | None
    waiting_s: int | None


class CacheStatus(BaseModel):
    primary: str | None


class MaintenanceStatus(BaseModel):
    """The page that visitors get in place of the application. `until`: in ISO 8601; `overdue`: that time is past."""

    until: str
    why: str
    overdue: bool

    def __str__(self) -> str:
        return f"maintenance until {self.until}{' (overdue)' if self.overdue else ''}: {self.why}"


class LoadBalancerStatus(BaseModel):
    """`active`: the host that has the public address; `servers`: its states of the application hosts; `maintenance`:
    its page, or without an active host that of the first one which has one.
    """

    active: str | None
    servers: dict[str, str]
    maintenance: MaintenanceStatus | None = None


class Status(BaseModel):
    """The document of `ha status --json`. `backups` is null without a primary that says something of them."""

    stack: str
    target: Literal["aws", "lab"]
    url: str | None
    healthy: bool
    hosts: list[HostStatus]
    database: DatabaseStatus
    backups: BackupStatus | None = None
    cache: CacheStatus
    load_balancer: LoadBalancerStatus
    problems: list[str]


@dataclass(frozen=True)
class Observation:
    """A host with its report, or the reason why there is none."""

    instance: Instance
    report: Mapping[str, Any] | None
    silence: str = ""

    @property
    def facts(self) -> Mapping[str, Any]:
        return mapping((self.report or {}).get("facts"))

    @property
    def runs(self) -> Runs:
        return Runs.of(self.report)

    @property
    def unsettled(self) -> str:
        """A database node's reported and assigned state when they differ; else empty."""
        state, goal = self.facts.get("node_state"), self.facts.get("goal_state")
        return "" if state == goal else f"{state}, assigned {goal}"


def observe(estate: Estate, tiers: Collection[Tier] = tuple(Tier)) -> list[Observation]:
    """Ask every host of the tiers in parallel. A host that does not answer is an observation too."""

    def ask(instance: Instance) -> Observation:
        if instance.state != "running":
            return Observation(instance, None, f"its instance is {instance.state}")
        try:
            return Observation(instance, estate.report(instance.instance_id))
        except CommandFailed as failed:
            return Observation(instance, None, failed.what)

    instances = [one for one in estate.instances() if one.tier in tiers]
    estate.prepare()
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(instances)))) as pool:
        return list(pool.map(ask, instances))


def judge(
    observations: Sequence[Observation],
    *,
    expected: Sequence[str],
    named: Mapping[Tier, Pointer] = NOTHING_NAMED,
    stack: str,
    target: Literal["aws", "lab"],
    url: str | None,
) -> Status:
    """The estate's status from the reports of its hosts. Pure.

    :param expected: host names in the stack's settings; a missing one makes the estate unhealthy.
    :param named: what the tiers' pointers name; a host that runs something else makes the estate unhealthy.
    """
    hosts = [_host(o) for o in observations]
    database = database_of(_of(observations, Tier.DB))
    # If two claim to be master, name neither; the same for the database.
    masters = [o.instance.host for o in _of(observations, Tier.CACHE) if o.facts.get("role") == "master"]
    cache = masters[0] if len(masters) == 1 else None
    problems = [f"{h.name}: {h.detail}" for h in hosts if not h.healthy]
    problems += [f"{name}: there is no such instance" for name in expected if name not in {h.name for h in hosts}]
    problems += [drift for one in observations if (drift := _drift(one, named.get(one.instance.tier)))]
    if database.primary is None:
        problems.append("database: there is no writable primary")
    if database.replication != "sync":
        problems.append(
            f"database: no standby in synchronous replication (replication is {database.replication}"
            f"{_copying(_of(observations, Tier.DB), database.primary)})"
        )
    if cache is None:
        problems.append(
            f"cache: {' and '.join(masters)} are both master" if masters else "cache: there is no Redis master"
        )
    balancer = _load_balancer(_of(observations, Tier.LB))
    if balancer.active is None:
        problems.append("load balancer: none of its hosts has the public address")
    elif not balancer.servers:
        problems.append(f"load balancer: {balancer.active} reports no application servers")
    problems += [f"load balancer: {name} is {state}" for name, state in balancer.servers.items() if state != "UP"]
    problems += _maintenance_problems(_of(observations, Tier.LB))
    return Status(
        stack=stack,
        target=target,
        url=url,
        healthy=not problems,
        hosts=hosts,
        database=database,
        backups=_backups(_of(observations, Tier.DB), database.primary),
        cache=CacheStatus(primary=cache),
        load_balancer=balancer,
        problems=problems,
    )


def await_healthy(
    estate: Estate, expected: Sequence[str], *, deadline_s: float, named: Mapping[Tier, Pointer] = NOTHING_NAMED
) -> Status:
    """The estate's status once it is healthy, or its last one at the deadline. :raises HaError: as `status`."""
    deadline = time.monotonic() + deadline_s
    while not (seen := status(estate, expected, named)).healthy and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return seen


def status(estate: Estate, expected: Sequence[str], named: Mapping[Tier, Pointer] = NOTHING_NAMED) -> Status:
    """Ask the hosts of an estate and evaluate their reports. :raises HaError: when a call to AWS fails."""
    observations = observe(estate)
    public = next((o.instance.public_address for o in _of(observations, Tier.LB) if o.instance.public_address), None)
    url = estate.url_of(public) if public else None
    return judge(observations, expected=expected, named=named, stack=estate.stack, target=estate.target, url=url)


def with_consoles(estate: Estate, seen: Status) -> Status:
    """The status with the last lines of the consoles of unreachable hosts. A call to EC2 for each of them: for a person
    who reads it, not for a loop.
    """

    def lines(host: HostStatus) -> list[str]:
        if host.state != "unreachable":
            return []
        try:
            return last_lines(estate.console(host.instance_id))
        except CommandFailed as failed:
            return [failed.what]

    return seen.model_copy(update={"hosts": [host.model_copy(update={"console": lines(host)}) for host in seen.hosts]})


def _of(observations: Sequence[Observation], tier: Tier) -> list[Observation]:
    return [o for o in observations if o.instance.tier is tier]


def _host(seen: Observation) -> HostStatus:
    state, healthy, detail = _state(seen)
    return HostStatus(
        name=seen.instance.host,
        instance_id=seen.instance.instance_id,
        role=seen.instance.tier.role,
        address=seen.instance.address,
        zone=seen.instance.zone,
        state=state,
        healthy=healthy,
        detail=detail,
        bundle=seen.runs.bundle,
        release=seen.runs.release,
    )


def _state(seen: Observation) -> tuple[HostState, bool, str]:
    if seen.instance.state != "running":
        return ("booting" if seen.instance.state == "pending" else "stopped"), False, seen.silence
    if seen.report is None:
        return "unreachable", False, seen.silence
    setup = mapping(seen.report.get("setup"))
    step = setup.get("step", "")
    if setup.get("state") == "failed":
        return "failed", False, f"set-up failed in step {step}: {str(setup.get('error', '')).strip()[-400:]}"
    if setup.get("state") != "ready":
        return "booting", False, f"set-up is at step {step}" if step else "set-up has not started"
    reported = seen.report.get("checks")
    checks = [mapping(one) for one in (reported if isinstance(reported, list) else ())]
    failing = [
        f"{one.get('name')} ({one.get('detail')})" for one in checks if not (one.get("ok") or one.get("informational"))
    ]
    healthy = seen.report.get("healthy") is True
    return "ready", healthy, "" if healthy else ", ".join(failing) or "it reports that it is not healthy"


def _drift(seen: Observation, named: Pointer | None) -> str:
    """What is wrong when a host runs something else than its tier's pointer names; else empty."""
    runs = seen.runs
    if named is None or not runs.bundle or runs.placed == named:
        return ""
    return (
        f"{seen.instance.host}: it runs {runs.placed}, but the pointer names {named}: `pulumi up` settles it, or a "
        "reboot if that sees no change"
    )


def trouble_of(seen: Observation) -> str:
    """What is wrong with a host by its own report; empty when it is healthy."""
    state, healthy, detail = _state(seen)
    return "" if healthy else detail or state


# A node that is being promoted may still report `streaming`, as a standby does.
_REPLICATION: Mapping[str, Literal["sync", "async", "none"]] = {"sync": "sync", "async": "async"}


def database_of(seen: Sequence[Observation]) -> DatabaseStatus:
    """The pair, from the reports of the database hosts. Pure."""
    primaries = [o for o in seen if o.facts.get("role") == "primary"]
    standbys = [o.instance.host for o in seen if o.facts.get("role") == "standby"]
    # If two claim to be primary, name neither.
    primary = primaries[0] if len(primaries) == 1 else None
    facts = primary.facts if primary else {}
    lag_bytes = facts.get("lag_bytes")
    return DatabaseStatus(
        primary=primary.instance.host if primary else None,
        standby=standbys[0] if len(standbys) == 1 else None,
        replication=_REPLICATION.get(str(facts.get("replication")), "none"),
        lag_bytes=lag_bytes if isinstance(lag_bytes, int) else None,
    )


def _copying(seen: Sequence[Observation], primary: str | None) -> str:
    """How far the other node is that copies the primary's data; empty when none does."""
    copy = next((mapping(o.facts.get("copy")) for o in seen if o.instance.host == primary), {})
    if not copy:
        return ""
    done, whole = _count(copy.get("bytes"), 2**60), _count(copy.get("of"), 2**60)
    who = " and ".join(o.instance.host for o in seen if o.instance.host != primary)
    share = f"{min(1.0, done / whole):.0%} of {whole / 2**30:.1f} GiB" if done is not None and whole else "it begins"
    return f"; {who} copies all data anew: {share}"


def _backups(seen: Sequence[Observation], primary: str | None) -> BackupStatus | None:
    facts = next((o.facts for o in seen if o.instance.host == primary), {})
    backups, archive = mapping(facts.get("backups")), mapping(facts.get("archive"))
    if not backups and not archive:
        return None
    newest = _count(backups.get("newest_any"))  # 0: there is none
    return BackupStatus(
        newest=datetime.fromtimestamp(newest, UTC) if newest else None,
        waiting_segments=_count(archive.get("waiting_segments")),
        waiting_s=_count(archive.get("waiting_seconds")),
    )


def _count(value: object, below: int = 2**33) -> int | None:
    """A number of a host's document, of seconds since 1970 unless `below` is larger."""
    return int(value) if isinstance(value, int | float) and 0 <= value < below else None


def _load_balancer(seen: Sequence[Observation]) -> LoadBalancerStatus:
    active = next((o for o in seen if o.instance.public_address), None)
    servers = mapping(active.facts.get("servers")) if active else {}
    shown = [_maintenance(active)] if active else [_maintenance(one) for one in seen]
    return LoadBalancerStatus(
        active=active.instance.host if active else None,
        servers={str(name): str(state) for name, state in servers.items()},
        maintenance=next((one for one in shown if one is not None), None),
    )


def _maintenance(seen: Observation) -> MaintenanceStatus | None:
    said = mapping(seen.facts.get("maintenance"))
    if said.get("on") is not True:
        return None
    return MaintenanceStatus(
        until=str(said.get("until")), why=str(said.get("why")), overdue=said.get("overdue") is True
    )


def _maintenance_problems(seen: Sequence[Observation]) -> list[str]:
    """A page is none while it is planned and visitors get it from every load balancer."""
    pages = {one.instance.host: _maintenance(one) for one in seen if one.facts}
    without = [host for host, page in pages.items() if page is None] if any(pages.values()) else []
    overdue = [f"load balancer: {host}: {page}" for host, page in pages.items() if page and page.overdue]
    return overdue + [f"load balancer: {host} has no maintenance page, and another one has" for host in without]

"""The state of an estate: who is primary, what lags, what is down. Gathered from the hosts, judged here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from ops.estate import CommandFailed, Estate, Instance
from spec.tiers import Tier

HostState = Literal["stopped", "booting", "ready", "failed", "unreachable"]


class HostStatus(BaseModel):
    """One host. `state`: `booting` while its set-up runs, `failed` when a step of it failed (`detail` says which)."""

    name: str
    role: str
    address: str
    zone: str
    state: HostState
    healthy: bool
    detail: str


class DatabaseStatus(BaseModel):
    """`replication`: `sync` when the standby must confirm each commit, `async`, or `none`."""

    primary: str | None
    standby: str | None
    replication: Literal["sync", "async", "none"]
    lag_bytes: int | None


class CacheStatus(BaseModel):
    primary: str | None


class LoadBalancerStatus(BaseModel):
    """`active`: the host that holds the public address; `servers`: application hosts as it sees them."""

    active: str | None
    servers: dict[str, str]


class Status(BaseModel):
    """The document of `ha status --json`."""

    stack: str
    target: Literal["aws", "lab"]
    url: str | None
    healthy: bool
    hosts: list[HostStatus]
    database: DatabaseStatus
    cache: CacheStatus
    load_balancer: LoadBalancerStatus
    problems: list[str]


@dataclass(frozen=True)
class Observation:
    """A host and what it said of itself: its report, or why there is none."""

    instance: Instance
    report: Mapping[str, Any] | None
    silence: str = ""

    @property
    def facts(self) -> Mapping[str, Any]:
        facts = (self.report or {}).get("facts", {})
        return facts if isinstance(facts, Mapping) else {}

    @property
    def unsettled(self) -> str:
        """How the state of a database node differs from what it is to be; empty when it does not."""
        state, goal = self.facts.get("node_state"), self.facts.get("goal_state")
        return "" if state == goal else f"{state}, to be {goal}"


def observe(estate: Estate, tiers: Collection[Tier] = tuple(Tier)) -> list[Observation]:
    """Asks every host of the tiers at once. A host that cannot answer is an observation too."""

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
    stack: str,
    target: Literal["aws", "lab"],
    url: str | None,
) -> Status:
    """The estate's status from what its hosts said. Pure.

    :param expected: host names that the stack's settings plan; one that is missing makes the estate unhealthy.
    """
    hosts = [_host(o) for o in observations]
    database = database_of(_of(observations, Tier.DB))
    # Two that claim to be master are none: neither is named, here and of the database.
    masters = [o.instance.host for o in _of(observations, Tier.CACHE) if o.facts.get("role") == "master"]
    cache = masters[0] if len(masters) == 1 else None
    problems = [f"{h.name}: {h.detail}" for h in hosts if not h.healthy]
    problems += [f"{name}: there is no such instance" for name in expected if name not in {h.name for h in hosts}]
    if database.primary is None:
        problems.append("database: there is no writable primary")
    if database.replication != "sync":
        problems.append(f"database: no standby in synchronous replication (replication is {database.replication})")
    if cache is None:
        problems.append(
            f"cache: {' and '.join(masters)} both are master" if masters else "cache: there is no Redis master"
        )
    balancer = _load_balancer(_of(observations, Tier.LB))
    if balancer.active is None:
        problems.append("load balancer: no host of it has the public address")
    elif not balancer.servers:
        problems.append(f"load balancer: {balancer.active} does not say which servers it has")
    problems += [f"load balancer: {name} is {state}" for name, state in balancer.servers.items() if state != "UP"]
    return Status(
        stack=stack,
        target=target,
        url=url,
        healthy=not problems,
        hosts=hosts,
        database=database,
        cache=CacheStatus(primary=cache),
        load_balancer=balancer,
        problems=problems,
    )


def status(estate: Estate, expected: Sequence[str]) -> Status:
    """Observes and judges an estate. :raises HaError: when AWS cannot be asked."""
    observations = observe(estate)
    public = next((o.instance.public_address for o in _of(observations, Tier.LB) if o.instance.public_address), None)
    url = estate.url_of(public) if public else None
    return judge(observations, expected=expected, stack=estate.stack, target=estate.target, url=url)


def _of(observations: Sequence[Observation], tier: Tier) -> list[Observation]:
    return [o for o in observations if o.instance.tier is tier]


def _host(seen: Observation) -> HostStatus:
    state, healthy, detail = _state(seen)
    return HostStatus(
        name=seen.instance.host,
        role=seen.instance.tier.role,
        address=seen.instance.address,
        zone=seen.instance.zone,
        state=state,
        healthy=healthy,
        detail=detail,
    )


def _state(seen: Observation) -> tuple[HostState, bool, str]:
    if seen.instance.state != "running":
        return ("booting" if seen.instance.state == "pending" else "stopped"), False, seen.silence
    if seen.report is None:
        return "unreachable", False, seen.silence
    setup = seen.report.get("setup", {})
    step = setup.get("step", "")
    if setup.get("state") == "failed":
        return "failed", False, f"set-up failed in step {step}: {str(setup.get('error', '')).strip()[-400:]}"
    if setup.get("state") != "ready":
        return "booting", False, f"set-up runs step {step}" if step else "set-up has not begun"
    checks = [c for c in seen.report.get("checks", []) if not c.get("informational")]
    failing = [f"{c['name']} ({c['detail']})" for c in checks if not c["ok"]]
    healthy = bool(seen.report.get("healthy"))
    return "ready", healthy, "" if healthy else ", ".join(failing) or "it says that it is not healthy"


# A node that becomes primary in this moment may still speak as a standby.
_REPLICATION: Mapping[str, Literal["sync", "async", "none"]] = {"sync": "sync", "async": "async"}


def database_of(seen: Sequence[Observation]) -> DatabaseStatus:
    """The pair, from what the database hosts said. Pure."""
    primaries = [o for o in seen if o.facts.get("role") == "primary"]
    standbys = [o.instance.host for o in seen if o.facts.get("role") == "standby"]
    # Two that claim to be primary is worse than none: neither is named.
    primary = primaries[0] if len(primaries) == 1 else None
    facts = primary.facts if primary else {}
    return DatabaseStatus(
        primary=primary.instance.host if primary else None,
        standby=standbys[0] if len(standbys) == 1 else None,
        replication=_REPLICATION.get(str(facts.get("replication")), "none"),
        lag_bytes=facts.get("lag_bytes"),
    )


def _load_balancer(seen: Sequence[Observation]) -> LoadBalancerStatus:
    active = next((o for o in seen if o.instance.public_address), None)
    return LoadBalancerStatus(
        active=active.instance.host if active else None,
        servers=dict(active.facts.get("servers", {})) if active else {},
    )

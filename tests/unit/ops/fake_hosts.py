"""Hosts that are made up: they answer `ha-report` and `ha-bundle` as real ones do, and take a bundle as told to."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.estate import CommandFailed, CommandResult, Estate, Instance
from spec.pointer import Pointer
from spec.tiers import Tier

V1, V2, V3 = (Pointer(bundle=letter * 64) for letter in "abc")
NOTHING = Pointer(bundle="")
ANY = "any"
# What a host does with a bundle that it does not simply take.
Takes = Literal["missing", "refuses", "sick", "stuck", "lost", "cut off", "confirm unanswered"]


@dataclass
class FakeHost:
    """`takes`: by the bundle's digest; `ANY` for all others."""

    name: str
    confirmed: Pointer = V1
    placed: Pointer = V1
    change: str = ""
    error: str = ""
    healthy: bool = True
    reachable: bool = True
    image: str = ""
    lacks: Any = ()
    takes: dict[str, Takes] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)
    """Put over its report."""
    prints: str | None = None
    """Printed in place of its report."""

    @property
    def tier(self) -> Tier:
        return Tier(self.name.rstrip("0123456789"))

    def taking(self, wanted: Pointer) -> Takes | None:
        """What it does with a bundle."""
        return self.takes.get(wanted.bundle, self.takes.get(ANY))

    def abandon(self, to: Pointer, change: str) -> None:
        """It is where a roll-out that died left it."""
        self.placed, self.change = to, change
        if change == "confirmed":
            self.confirmed = to


class FakeHosts:
    """`leads`: the primary, the Redis master and the active load balancer."""

    def __init__(self, names: str) -> None:
        self.hosts = {name: FakeHost(name) for name in names.split()}
        self.leads = {"db1", "cache1", "lb1"}
        self.done: list[str] = []
        """What was done to hosts: "app1 change b", the bundle by its first letter."""
        self.hand_over = CommandResult(0, "", "")

    def __getitem__(self, name: str) -> FakeHost:
        return self.hosts[name]

    def __setitem__(self, name: str, host: FakeHost) -> None:
        self.hosts[name] = host

    def ask(self, name: str, command: str) -> CommandResult:
        """Run a command on a host. :raises CommandFailed:"""
        host = self[name]
        if not host.reachable:
            raise CommandFailed("no answer within 30 s", where=name)
        if command == "ha-report":
            return CommandResult(0, json.dumps(self._report(host)) if host.prints is None else host.prints, "")
        program, *words = shlex.split(command)
        if program != "ha-bundle":
            self.done.append(f"{name} hands over")
            return self.hand_over
        act, *given = words
        wanted = _wanted(act, given)
        self.done.append(f"{name} {act} {wanted.bundle[:1]}".rstrip())
        if act == "check" and host.taking(wanted) == "missing":
            return CommandResult(1, "", f"noise\nbundle {wanted.bundle[:12]} is not available: 403\x1b[31m\n")
        return CommandResult(0, json.dumps(getattr(self, f"_{act}")(host, wanted)), "")

    def _report(self, host: FakeHost) -> dict[str, Any]:
        confirmed = {"bundle": host.confirmed.bundle, "release": host.confirmed.release}
        runs = {
            "bundle": host.placed.bundle,
            "release": host.placed.release or "",
            "confirmed": confirmed,
            "change": {"state": host.change, "error": host.error},
        }
        checks = [{"name": "serves", "ok": host.healthy, "detail": ""}]
        setup = {"state": "ready"}
        report = {"setup": setup, "healthy": host.healthy, "checks": checks, "facts": self._facts(host), "runs": runs}
        return report | host.says

    def _facts(self, host: FakeHost) -> dict[str, Any]:
        match host.tier:
            case Tier.LB:
                apps = [one for one in self.hosts.values() if one.tier is Tier.APP]
                return {"servers": {one.name: "UP" if one.healthy and one.reachable else "DOWN" for one in apps}}
            case Tier.DB if host.name not in self.leads:
                return {"role": "standby", "replication": "streaming"}
            case Tier.DB:
                whole = all(one.healthy and one.reachable for one in self.hosts.values() if one.tier is Tier.DB)
                return {"role": "primary", "replication": "sync" if whole else "none", "lag_bytes": 0}
            case Tier.CACHE:
                return {"role": "master" if host.name in self.leads else "slave"}
        return {}

    def _check(self, host: FakeHost, wanted: Pointer) -> dict[str, Any]:
        return {"lacks": host.lacks if isinstance(host.lacks, str) else list(host.lacks), "image": host.image}

    def _change(self, host: FakeHost, wanted: Pointer) -> dict[str, Any]:
        assert host.change not in ("applying", "applied"), "a change is not confirmed yet"
        match host.taking(wanted):
            case "refuses":
                host.change, host.error = "back", "step 40-app.sh of the set-up failed:\x1b[2J no such file"
            case "lost":
                host.change, host.reachable = "applying", False
            case "cut off":
                host.change = "back"
            case takes:
                host.placed, host.change, host.healthy = wanted, "applied", takes not in ("sick", "stuck")
        if host.taking(wanted) in ("lost", "cut off"):
            raise CommandFailed("no answer within 420 s", where=host.name)
        return {"state": host.change, "error": host.error}

    def _confirm(self, host: FakeHost, wanted: Pointer) -> dict[str, Any]:
        assert (host.placed, host.change) == (wanted, "applied")
        host.confirmed, host.change = wanted, "confirmed"
        if host.taking(wanted) == "confirm unanswered":
            raise CommandFailed("no answer within 60 s", where=host.name)
        return {"state": "confirmed"}

    def _back(self, host: FakeHost, _: Pointer) -> dict[str, Any]:
        if host.change in ("applying", "applied"):
            stuck = host.taking(host.placed) == "stuck"
            host.placed, host.change, host.healthy = host.confirmed, "failed" if stuck else "back", not stuck
        return {"state": host.change, "error": "the old one does not start either" if host.change == "failed" else ""}

    def _close(self, host: FakeHost, _: Pointer) -> dict[str, Any]:
        return {}

    def _again(self, host: FakeHost, _: Pointer) -> dict[str, Any]:
        assert host.confirmed == NOTHING, "it was ready before"
        return {}


def _wanted(act: str, given: list[str]) -> Pointer:
    if act == "change":
        asked = json.loads(given[0])
        return Pointer(bundle=asked["bundle"], release=asked["release"])
    return Pointer(bundle=given[0], release=given[1] if given[1:] else None) if given else Pointer(bundle="")


class FakeEstate(FakeHosts):
    """An `Estate` of such hosts."""

    stack = "dev"
    target = "lab"

    def __init__(self, names: str = "lb1 lb2 app1 app2 app3 db1 db2 cache1 cache2 monitor1") -> None:
        super().__init__(names)
        self.launched: list[Instance] = []
        self.gone: set[str] = set()
        self.clients: dict[str, Any] = {}

    def prepare(self) -> None:
        pass

    def client(self, service: str) -> Any:
        return self.clients[service]

    def url_of(self, address: str) -> str:
        return f"http://{address}"

    def on_demand(self) -> list[Instance]:
        return self.launched

    def instances(self) -> list[Instance]:
        there = {name: host.tier for name, host in sorted(self.hosts.items()) if name not in self.gone}
        active = {name for name, tier in there.items() if tier is Tier.LB and name in self.leads}
        return [
            Instance(f"i-{name}", name, tier, "", "203.0.113.10" if name in active else None, "", "running")
            for name, tier in there.items()
        ]

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        return self.ask(instance_id.removeprefix("i-"), command)

    def report(self, instance_id: str, *, timeout_s: int = 30) -> dict[str, Any]:
        real: Any = Estate.report
        return dict(real(self, instance_id, timeout_s=timeout_s))

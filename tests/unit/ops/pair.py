"""A database pair that is made up, for what is told to hand it over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.estate import CommandFailed, CommandResult, Instance
from spec.tiers import Tier

PRIMARY = {"role": "primary", "replication": "sync", "lag_bytes": 24, "node_state": "primary", "goal_state": "primary"}
STANDBY = {
    "role": "standby",
    "replication": "streaming",
    "lag_bytes": 0,
    "node_state": "secondary",
    "goal_state": "secondary",
}


class Pair:
    """Two database hosts that change places when the standby is told to; `looks` until they are redundant again."""

    stack = "dev"
    target = "lab"

    def __init__(self, looks: int = 0, changed: Mapping[str, dict[str, Any]] | None = None) -> None:
        self.facts: dict[str, dict[str, Any] | None] = {"db1": {**PRIMARY}, "db2": {**STANDBY}}
        for host, facts in (changed or {}).items():
            self.facts[host] = {**(self.facts[host] or {}), **facts}
        self.commands: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.result = CommandResult(0, "1423\n", "")
        self._looks = looks
        self._handed_over = False

    def prepare(self) -> None:
        pass

    def instances(self) -> list[Instance]:
        hosts = {"app1": Tier.APP, "db1": Tier.DB, "db2": Tier.DB, "monitor1": Tier.MONITOR}
        return [Instance(f"i-{n}", n, tier, "10.20.0.1", None, "us-east-1a", "running") for n, tier in hosts.items()]

    def report(self, instance_id: str, *, timeout_s: int = 30) -> dict[str, Any]:
        host = instance_id.removeprefix("i-")
        self.asked.append(host)
        if self._handed_over and host == "db1":
            self._looks -= 1
        if self._handed_over and self._looks == 0:
            self.facts = {"db1": {**STANDBY}, "db2": {**PRIMARY}}
        facts = self.facts[host]
        if facts is None:
            raise CommandFailed("no answer within 30 s", where=instance_id)
        return {"setup": {"state": "ready"}, "healthy": True, "checks": [], "facts": facts}

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        self.commands.append((instance_id.removeprefix("i-"), command))
        if "perform_failover" in command:
            self._handed_over = True
            self.facts = {"db1": None, "db2": {**PRIMARY, "replication": "none"}}
            return self.result
        return CommandResult(0, "", "")

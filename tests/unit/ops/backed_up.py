"""A database pair with a repository: db1 is the primary, and its programs print what a test puts there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.estate import CommandFailed, CommandResult, Instance
from spec.tiers import Tier
from tests.unit.ops.pair import PRIMARY, STANDBY
from tests.unit.ops.this_machine import DB1, ThisMachine
from tests.unit.repository import described, stanza, usual

DB2 = Instance("i-db2", "db2", Tier.DB, "10.20.0.2", None, "us-east-1b", "running")
MADE = {
    "label": "20261201-200000F",
    "type": "full",
    "bytes": 180_355_072,
    "repository_bytes": 22_544_384,
    "took_s": 5.9,
}


class BackedUp(ThisMachine):
    """`facts`: of the hosts that answer; None: it does not."""

    stack = "dev"
    target = "lab"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.facts: dict[str, dict[str, Any] | None] = {"db1": {**PRIMARY}, "db2": {**STANDBY}}
        self.asked: list[str] = []
        """The hosts that ran a command, in order."""
        self.describes(described(stanza(usual())))
        self.prints("ha-backup", f"pushing\n{json.dumps(MADE)}")
        self.prints("ha-backup-verify", "stanza: ha\nstatus: ok\n")

    def describes(self, document: Mapping[str, Any]) -> None:
        self.prints("ha-backups", json.dumps(document))
        self.prints("ha-postgres", json.dumps(document["info"]) + "\n")  # asked for pgbackrest's own

    def prints(self, program: str, out: str, err: str = "", code: int = 0) -> None:
        for name, text in (("out", out), ("err", err)):
            (self.folder / f"{program}.{name}").write_text(text, encoding="utf-8")
        said = f'cat "{self.folder}/{program}.out"; cat "{self.folder}/{program}.err" >&2; exit {code}'
        self.program(program, f'#!/bin/bash\necho "$*" >>"{self.folder}/{program}.given"\n{said}\n')

    def given(self, program: str) -> list[str]:
        """The arguments of each of its runs."""
        path = self.folder / f"{program}.given"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def prepare(self) -> None:
        pass

    def instances(self) -> list[Instance]:
        return [DB1, DB2]

    def report(self, instance_id: str, *, timeout_s: int = 30) -> dict[str, Any]:
        facts = self.facts[instance_id.removeprefix("i-")]
        if facts is None:
            raise CommandFailed("no answer within 30 s", where=instance_id)
        return {"setup": {"state": "ready"}, "healthy": True, "checks": [], "facts": facts}

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        self.asked.append(instance_id.removeprefix("i-"))
        return super().run(DB1.instance_id, command, timeout_s=timeout_s)

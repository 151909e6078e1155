"""An estate of one host, db1, whose commands run in a folder of this machine, with stand-ins for systemd."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ops.estate import CommandResult, Instance
from spec.tiers import Tier

DB1 = Instance("i-db1", "db1", Tier.DB, "10.20.0.1", None, "us-east-1a", "running")
# A unit's work is done at once; `later` holds it back until `finish`.
_SYSTEMD_RUN = """#!/bin/bash
for word in "$@"; do case $word in --unit=*) unit=${word#*=} ;; --working-directory=*) cd "${word#*=}" ;; esac; done
while [ "$1" != bash ]; do shift; done
echo active >"$STATES/$unit.service"
[ -e "$STATES/later" ] || { "$@"; echo inactive >"$STATES/$unit.service"; }
"""
_SYSTEMCTL = """#!/bin/bash
name=${!#}
state=$(cat "$STATES/$name" 2>/dev/null || echo inactive)
echo "$state"
[ "$1" != is-active ] || [ "$state" = active ]
"""


class ThisMachine:
    """`programs` are put in the path of the host's commands; `most` limits output as SSM does."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.folder = folder
        self.most = 24_000
        self.commands: list[str] = []
        for name in ("bin", "run", "states"):
            (folder / name).mkdir()
        stand_ins = {"systemd-run": _SYSTEMD_RUN, "systemctl": _SYSTEMCTL}
        for name, text in stand_ins.items():
            self.program(name, text)
        for name, text in programs.items():
            self.program(name.replace("_", "-"), f"#!/bin/bash\n{text}\n")

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def state(self, unit: str, state: str) -> None:
        (self.folder / "states" / f"{unit}.service").write_text(state, encoding="utf-8")

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        assert instance_id == DB1.instance_id
        self.commands.append(command)
        here = str(self.folder / "run")
        environment = {
            **os.environ,
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "STATES": str(self.folder / "states"),
        }
        done = subprocess.run(
            ["sh", "-c", command.replace("/run/ha", here)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        stdout = done.stdout.replace(here, "/run/ha")
        return CommandResult(done.returncode, stdout[: self.most], done.stderr)

"""A host's files in a folder, and stand-ins for its programs that write down how they are called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

STEPS = "/usr/local/lib/ha/steps/"


class Sandbox:
    """A folder for the host's files, and stand-ins for its programs whose calls are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        for name in ("bin", "run", "by-id"):
            (folder / name).mkdir()

    def stand_in(self, name: str, script: str = "") -> None:
        program = self.bin / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.folder}/calls\n{script}\n')
        program.chmod(0o755)

    def run(self, step: str, replace: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
        for old, new in replace.items():
            assert old in step, old
            step = step.replace(old, new)
        path = f"{self.bin}:{os.environ['PATH']}"
        full = {"PATH": path, "LC_ALL": "C.UTF-8", **environment}
        return subprocess.run(["bash", "-c", step], env=full, capture_output=True, text=True, timeout=30, check=False)

    def calls(self, program: str) -> list[str]:
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] == program]

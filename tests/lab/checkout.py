"""`ha` as a user runs it, from this checkout or from a copy that may be edited."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.process import Finished
from spec.project import REPOSITORY

STACK = "dev"
HA = ("-c", "from cli.main import main; main()")
"""What Python runs for `ha`."""
_SET_UP = Path("lab/aws/iam-simulator/node_modules")


def copy_checkout(target: Path) -> Path:
    """Copies this checkout, with its release and what `make setup` put into it, to be edited."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in [*listing, *(str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "app/build").glob("*.tar.gz"))]:
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    (target / _SET_UP).symlink_to(REPOSITORY / _SET_UP)
    return target


def edit(path: Path, old: str, new: str) -> None:
    """Replaces the one place where a file says `old`."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def run_ha(
    arguments: Sequence[str],
    *,
    project_dir: Path,
    state: Path | str,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 600,
    program: Sequence[str] = HA,
) -> Finished:
    """Runs `ha` on the lab of a state folder; `prefix` is put before its command line."""
    argv = [*prefix, sys.executable, *program, *arguments]
    done = subprocess.run(
        argv,
        env={**os.environ, "HA_LAB_STATE": str(state), "PYTHONPATH": str(project_dir), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=project_dir,
    )
    return Finished(tuple(argv), done.returncode, done.stdout, done.stderr)

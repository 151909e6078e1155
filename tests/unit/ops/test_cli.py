"""The command line as a process: exit codes, what goes to which stream, no stack trace for a user's mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parents[3]


def _ha(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(PROJECT_DIR),
        "HA_LAB_STATE": str(tmp_path / "lab"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.run(
        [sys.executable, "-c", "from ops.cli import main; main()", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["status", "--stack", "My_Stack"], 2, "cannot be the name of a stack"),
        (["status", "--stack", "staging"], 2, "there is no stack 'staging'"),
        (["lab", "up", "--stack", "staging"], 2, "take one of: dev, prod"),
        (["lab", "up", "--http-port", "99999"], 2, "--http-port"),
        (["lab", "nonsense"], 2, "nonsense"),
        (["status"], 1, "there are no AWS credentials"),
        (["--lab", "status"], 1, "no lab is running"),
        (["lab", "preview"], 1, "no lab is running"),
        (["lab", "shell", "db1"], 1, "no lab is running"),
    ],
)
def test_a_mistake_is_told_on_standard_error(
    tmp_path: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    done = _ha(tmp_path, *arguments)
    assert done.returncode == exit_code, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "lab").exists()

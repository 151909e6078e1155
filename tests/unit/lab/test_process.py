"""Programs start without the caller's environment, and a failure says what failed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab import process
from lab.process import ProgramFailed
from spec.errors import HaError


def test_a_child_gets_a_clean_environment_and_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/some/where")
    script = "import os, sys; print(sorted(os.environ), sys.stdin.read())"
    done = process.run([sys.executable, "-c", script], environment={"EXTRA": "1"})
    assert "AWS_CA_BUNDLE" not in done.stdout
    assert "'EXTRA'" in done.stdout


def test_a_failure_names_the_program_its_code_and_its_last_lines() -> None:
    with pytest.raises(ProgramFailed, match=r"sh failed with exit code 3\nnot today") as failed:
        process.run(["sh", "-c", "echo not today >&2; exit 3"])
    assert failed.value.finished.exit_code == 3


def test_a_killed_program_is_named_with_its_signal() -> None:
    with pytest.raises(ProgramFailed, match="sh was killed by SIGKILL"):
        process.run(["sh", "-c", "kill -9 $$"])


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ProgramFailed, match=r"sleep did not end within 0\.1 s"):
        process.run(["sleep", "60"], timeout_s=0.1)


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(HaError, match="no-such-program is not installed"):
        process.run(["no-such-program"])


def test_a_spawned_program_ends_with_its_block(tmp_path: Path) -> None:
    with process.spawn(["sleep", "60"], log=tmp_path / "log") as child:
        assert child.poll() is None
    assert child.returncode is not None


def test_one_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]
    with process.spawn(argv, log=log, stop_s=0.2) as child:
        while "deaf" not in log.read_text(encoding="utf-8"):
            assert child.poll() is None
    assert child.returncode == -9

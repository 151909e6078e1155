"""The runner of the steps: order, second tries, and the state that others read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import program


class Host:
    """A host's steps, state and log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.steps, self.state = folder, folder / "steps", folder / "run" / "setup.json"
        self.steps.mkdir()

    def step(self, name: str, script: str) -> None:
        (self.steps / name).write_text(f"set -eu\ncd {self.folder}\n{script}\n")

    def run(self, tries: int = 1) -> bool:
        setup = program("base/files/usr/local/sbin/ha-setup").Setup(self.steps, self.state, self.folder / "log")
        passed: bool = setup.run((0.0,) * (tries - 1))
        return passed

    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_steps_run_in_order_and_the_host_is_ready(host: Host) -> None:
    host.step("20-second", "echo second >>order")
    host.step("10-first", "echo first >>order")
    assert host.run()
    assert (host.folder / "order").read_text() == "first\nsecond\n"
    said = host.said()
    assert (said["state"], said["error"]) == ("ready", "")
    assert [(s["name"], s["ok"]) for s in said["steps"]] == [("10-first", True), ("20-second", True)]


def test_a_failed_step_is_named_with_its_last_lines_and_nothing_follows(host: Host) -> None:
    host.step("10-noisy", "for i in $(seq 100); do echo line $i; done; echo no disk >&2; exit 7")
    host.step("20-never", "touch never")
    assert not host.run()
    said = host.said()
    assert (said["state"], said["step"]) == ("failed", "10-noisy")
    assert said["error"].splitlines()[-2:] == ["no disk", "exit status 7"]
    assert "line 1\n" not in said["error"]
    assert not (host.folder / "never").exists()


def test_long_lines_leave_a_report_that_run_command_does_not_cut(host: Host) -> None:
    host.step("10-noisy", "for i in $(seq 15); do printf '%03000d\\n' 0; done; echo no disk >&2; exit 7")
    assert not host.run()
    error = host.said()["error"]
    assert error.endswith("no disk\nexit status 7")
    assert len(error) == 4000


def test_a_step_that_passes_at_the_second_try_leaves_no_error(host: Host) -> None:
    host.step("10-late", "[ -e tried ] || { touch tried; echo too early; exit 1; }")
    assert host.run(tries=3)
    said = host.said()
    assert (said["state"], said["error"]) == ("ready", "")
    assert said["steps"][0]["ok"]


def test_tries_are_counted(host: Host) -> None:
    host.step("10-never", "echo x >>tries; exit 1")
    assert not host.run(tries=3)
    assert (host.folder / "tries").read_text() == "x\n" * 3


def test_a_step_that_has_waited_long_is_not_tried_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a wait of nine minutes is one of half an hour before anyone hears of it."""
    clock = iter(range(0, 10_000, 400))
    monkeypatch.setattr(program("base/files/usr/local/sbin/ha-setup").time, "monotonic", lambda: next(clock))
    host.step("10-waits", "echo x >>tries; echo nobody came; exit 1")
    assert not host.run(tries=3)
    assert (host.folder / "tries").read_text() == "x\n"
    assert host.said()["state"] == "failed"
    assert "nobody came" in host.said()["error"]


def test_the_state_says_running_while_a_step_runs(host: Host) -> None:
    host.step("10-look", f"cp {host.state} seen.json")
    assert host.run()
    seen = json.loads((host.folder / "seen.json").read_text())
    assert (seen["state"], seen["step"]) == ("running", "10-look")


def test_output_that_is_not_text_does_not_end_the_set_up(host: Host) -> None:
    host.step("10-bytes", r"printf '\xff\xfe\n'")
    assert host.run()


PASSWORD = "bN3x_0vq-Yy7mTz4KpWc2LrD9sHfJ6gA"
KEY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"


@pytest.fixture
def secrets(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that ha-secret keeps, two secrets and a plain parameter that is a common word."""
    folder = host.folder / "secrets"
    monkeypatch.setattr(program("base/files/usr/local/sbin/ha-setup"), "SECRETS", folder)
    key = f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----"
    for name, value in {"cache/password": PASSWORD, "cache/ca": key, "db/word": "line"}.items():
        path = folder / "ha/dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    (folder / "ha/dev/gone").symlink_to("nowhere")


@pytest.mark.usefixtures("secrets")
def test_what_is_reported_has_no_secret(
    host: Host, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Redis prints the line of its configuration that it rejects; ha-setup reads that in the unit's journal."""
    journal = host.folder / "bin" / "journalctl"
    journal.parent.mkdir()
    journal.write_text(f"#!/bin/sh\necho 'Bad line 3: requirepass {PASSWORD} x'\n")
    journal.chmod(0o755)
    monkeypatch.setenv("PATH", f"{journal.parent}:{os.environ['PATH']}")
    host.step("50-redis", f"echo 'key: {KEY}'; echo 'Job for redis-server.service failed.'; exit 1")
    assert not host.run()
    assert "Bad line 3: requirepass *** x\n" in host.said()["error"]
    out = capfd.readouterr().out
    assert "50-redis: key: ***\n" in out
    for text in (out, host.state.read_text(), (host.folder / "log").read_text()):
        assert PASSWORD not in text
        assert KEY not in text


@pytest.mark.usefixtures("secrets")
def test_a_secret_where_the_error_is_cut_is_not_reported_in_part(host: Host) -> None:
    host.step("50-long", f"printf 'requirepass {PASSWORD}%03970d\n' 0; exit 1")
    assert not host.run()
    assert PASSWORD[-8:] not in host.said()["error"]


def test_every_line_is_in_the_log_with_its_step(host: Host) -> None:
    host.step("10-talks", "echo hello; echo there >&2")
    assert host.run()
    lines = (host.folder / "log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines[:2]] == ["10-talks: hello", "10-talks: there"]

"""The command line as a process: exit codes, what goes to which stream, no stack trace for a user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from typer.testing import CliRunner

from cli import console
from cli.main import app, main
from lab.engine import Changes, ResourceChange
from ops.status import (
    BackupStatus,
    CacheStatus,
    DatabaseStatus,
    HostStatus,
    LoadBalancerStatus,
    MaintenanceStatus,
    Status,
)
from spec.project import REPOSITORY
from tests.stacks import STACKS


def _ha(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "HA_LAB_STATE": str(tmp_path / "lab"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["status", "--stack", "My_Stack"], 2, "is not a valid stack name"),
        (["status", "--stack", "staging"], 2, "there is no stack 'staging'"),
        (["lab", "up", "--stack", "staging"], 2, "use one of: dev, prod"),
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


@pytest.mark.parametrize(
    ("running", "said"),
    [
        (True, "ha: interrupted: the lab is running; `ha lab up` continues, `ha lab down` removes it"),
        (False, "ha: interrupted: no lab is running"),
    ],
)
def test_an_interrupted_boot_says_what_becomes_of_the_lab(
    running: bool, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def boot(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.boot.boot", boot)
    monkeypatch.setattr("lab.lab.Lab.running", lambda _: running)
    assert _exit_code(monkeypatch, "lab", "up") == 130
    assert capsys.readouterr().err.strip() == said


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.lab.Lab.running", lambda _: True)
    monkeypatch.setattr("lab.lab.Lab.stop", stop)
    assert _exit_code(monkeypatch, "lab", "down") == 130
    assert capsys.readouterr().err.strip() == "ha: interrupted"


def test_nothing_to_take_down_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("lab.lab.Lab.running", lambda _: False)
    monkeypatch.setattr("lab.lab.Lab.stop", lambda *_: None)
    assert _exit_code(monkeypatch, "lab", "down") == 0
    assert "no lab was running" in capsys.readouterr().err


def _exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["ha", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_names_and_resources_are_not_broken_at_the_terminals_edge(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a-resource-of-a-rather-long-name" * 3
    urn = f"urn:pulumi:dev::ha::ha:host:Host$aws:ec2/instance:Instance::{name}"
    console.print_changes(Changes((ResourceChange(urn, "create"),)))
    table = console.table("fault", *("about",) * 6)
    table.add_row("db-partition-monitor", *("1234567890 1234567890",) * 6)
    console.out.print(table)
    told = capsys.readouterr().out
    assert f"aws:ec2/instance:Instance {name}\n" in told
    assert "db-partition-monitor" in told


def _status(**changed: Any) -> Status:
    status = Status(
        stack="dev",
        target="aws",
        url=None,
        healthy=False,
        hosts=[],
        database=DatabaseStatus(primary=None, standby=None, replication="none", lag_bytes=None),
        cache=CacheStatus(primary=None),
        load_balancer=LoadBalancerStatus(active=None, servers={}),
        problems=[],
    )
    return status.model_copy(update=changed)


@pytest.mark.parametrize(
    ("age", "waiting", "line"),
    [
        (timedelta(hours=2, minutes=5, seconds=30), (0, 0), "the newest began 2 h 5 min ago; 0 segments of WAL wait"),
        (
            timedelta(days=2, hours=7, minutes=1),
            (3, 400),
            "began 2 d 7 h ago; 3 segments of WAL wait for the archive, ",
        ),
        (None, (3, 400), "backups:  none; 3 segments of WAL wait for the archive, the first for 6 min 40 s\n"),
        (None, (None, None), "backups:  none\n"),
    ],
)
def test_one_line_says_how_old_the_newest_backup_is(
    age: timedelta | None, waiting: tuple[Any, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = datetime.now(UTC) - age if age else None
    backups = BackupStatus(newest=newest, waiting_segments=waiting[0], waiting_s=waiting[1])
    console.print_status(_status(backups=backups))
    assert line in capsys.readouterr().out
    console.print_status(_status())
    assert "backups" not in capsys.readouterr().out


def test_a_maintenance_page_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = MaintenanceStatus(until="2030-05-17T19:30:00Z", why="[bold]restore", overdue=False)
    console.print_status(_status(load_balancer=LoadBalancerStatus(active="lb1", servers={}, maintenance=page)))
    assert "visitors: maintenance until 2030-05-17T19:30:00Z: [bold]restore\n" in capsys.readouterr().out


def test_the_console_of_a_host_that_cannot_be_asked_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "ha-ssm-agent[230]: refused: [bold]https://s3.us-east-1.amazonaws.com/amazon-ssm-us-east-1[/bold] " + "x" * 100
    )
    host = HostStatus(
        name="app1",
        instance_id="i-0123",
        role="application",
        address="10.20.0.1",
        zone="us-east-1a",
        state="unreachable",
        healthy=False,
        detail="no answer",
        bundle="",
        release="",
        console=[line],
    )
    console.print_status(_status(hosts=[host]))
    assert f"console of app1 (i-0123):\n    {line}\n" in capsys.readouterr().out


@pytest.mark.parametrize(("running", "stack"), [(True, "prod"), (False, "dev")])
def test_in_the_lab_the_stack_is_the_one_that_it_runs(
    running: bool, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = MagicMock(**{"running.return_value": running, "status.return_value": {"stack": "prod"}})
    monkeypatch.setattr("lab.lab.Lab", lambda: lab)
    monkeypatch.setattr("cli.options.STACKS_DIR", STACKS)
    assert json.loads(CliRunner().invoke(app, ["--lab", "drill", "budget", "--json"]).stdout)["stack"] == stack
    told = CliRunner().invoke(app, ["--lab", "drill", "budget", "--json", "--stack", "dev"]).stdout
    assert json.loads(told)["stack"] == "dev"
    assert json.loads(CliRunner().invoke(app, ["drill", "budget", "--json"]).stdout)["stack"] == "dev"

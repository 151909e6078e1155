"""What `ha drill` refuses before it touches anything."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import drill, peers
from cli.main import app
from drills.results import keep
from spec.errors import EXIT_USAGE, HaError
from spec.project import REPOSITORY
from tests.stacks import STACKS
from tests.unit.drills.test_report import outcome


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--lab", "drill", "run", "no-such"], "no such drill: 'no-such'"),
        (["drill", "run", "db-kill"], "are injected by the lab, not on AWS"),
        (["drill", "report", "--results", "/no/such"], "/no/such does not exist"),
        (["drill", "report", "--results", "docs", "--html", "/no/such/page.html"], "there is no folder /no/such"),
        (["drill", "report", "--results", "docs", "--jsonl", "/no/such/runs.jsonl"], "there is no folder /no/such"),
        (["--lab", "drill", "run", "lb-stop", "--stack", "dev"], "needs two load balancer hosts"),
        (["drill", "peers"], "only the lab's hosts"),
        (["--lab", "drill", "peers", "--fault", "no-such"], "no such fault of the primary: 'no-such'"),
        (
            ["--lab", "drill", "peers", "--fault", "standby-power-loss"],
            "no such fault of the primary: 'standby-power-loss'",
        ),
        (["--lab", "drill", "peers", "--contender", "no-such"], "no such contender: 'no-such'"),
    ],
)
def test_refusals(arguments: list[str], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.options.STACKS_DIR", STACKS)
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, HaError)
    assert why in refused.what
    assert refused.exit_code == EXIT_USAGE


def test_a_report_is_of_a_folder_of_runs_or_of_published_lines(tmp_path: Path) -> None:
    for one in (outcome(4.0), outcome(5.0, at=datetime(2026, 1, 3, tzinfo=UTC))):
        keep(one, tmp_path / "runs")
    published, page = tmp_path / "2026-01-02-dev-machine1.jsonl", tmp_path / "page.html"
    options = ["--jsonl", str(published), "--html", str(page)]
    done = CliRunner().invoke(app, ["drill", "report", "--results", str(tmp_path / "runs"), *options])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "<figure>" in page.read_text(encoding="utf-8")
    texts = [
        CliRunner().invoke(app, ["drill", "report", "--results", str(place)]).stdout
        for place in (tmp_path / "runs", published, tmp_path)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert "| db-power-loss | 2 |" in texts[0]


def test_a_published_campaign_is_not_overwritten(tmp_path: Path) -> None:
    published = tmp_path / "runs.jsonl"
    published.write_text("kept\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["drill", "report", "--results", str(tmp_path), "--jsonl", str(published)])
    assert isinstance(done.exception, HaError)
    assert done.exception.exit_code == EXIT_USAGE
    assert published.read_text(encoding="utf-8") == "kept\n"


@pytest.mark.parametrize("command", [drill.run, peers.peers])
def test_a_users_run_changes_no_tracked_file(command: Callable[..., None]) -> None:
    folder = inspect.signature(command).parameters["results"].default
    ignored = subprocess.run(["git", "check-ignore", "-q", folder / "dev" / "x.json"], cwd=REPOSITORY, check=False)
    assert ignored.returncode == 0

"""A drill that is ended by a signal heals what it broke before it ends, and leaves nothing in the estate."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import eventually
from spec.errors import HaError
from spec.project import REPOSITORY
from tests.lab.checkout import HA
from tests.lab.estate.booted import Booted
from tests.lab.estate.drills.traces import Traces

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

BEGINS_S, ENDS_S, HEALTHY_S = 60.0, 150.0, 150.0
INTERRUPTED = 130
SOAKED = {f"{kind} of {host}" for kind in ("units", "files", "limit") for host in ("db1", "db2")} | {"queues", "taps"}


@contextmanager
def drilling(booted: Booted, name: str, log: Path, results: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A drill that would go on for long, in a session of its own as on a terminal."""
    argv = [sys.executable, *HA, "--lab", "drill", "run", name, "--hold-s", "300"]
    argv += ["--results", str(results)]
    with log.open("wb") as sink:
        child = subprocess.Popen(
            argv,
            env={**os.environ, "HA_LAB_STATE": str(booted.state), "PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("name", "harm", "number"),
    [
        ("db-power-loss", {"off"}, signal.SIGINT),
        ("db-partition-both", {"rules"}, signal.SIGTERM),
        ("soak", SOAKED, signal.SIGINT),
    ],
    ids=["db-power-loss", "db-partition-both", "soak"],
)
def test_it_heals_and_ends(booted: Booted, tmp_path: Path, name: str, harm: set[str], number: signal.Signals) -> None:
    traces, log = Traces(booted), tmp_path / "log"

    def begun() -> bool:
        with contextlib.suppress(HaError):  # a host went away while it was looked at
            return harm <= traces.of_harm().keys()
        return False

    with drilling(booted, name, log, tmp_path / "results") as drill:
        eventually(f"{name} has begun", begun, deadline_s=BEGINS_S)
        # Ctrl-C on a terminal reaches every process of the session; and a user may press it twice.
        os.killpg(drill.pid, number)
        os.killpg(drill.pid, number)
        exit_code = drill.wait(ENDS_S)
    said = log.read_text(encoding="utf-8", errors="replace")
    assert exit_code == INTERRUPTED, said
    assert "interrupted" in said
    assert traces.of_harm() == {}, said
    eventually("the estate is healthy", lambda: booted.status()["healthy"], deadline_s=HEALTHY_S)
    assert traces.in_the_database() == {}, said


def test_a_drill_on_an_estate_that_is_not_healthy_is_refused(booted: Booted) -> None:
    booted.on_host("app2", "systemctl", "stop", "event-manager")
    try:
        eventually("app2 is missed", lambda: not booted.status()["healthy"], deadline_s=30)
        done = booted.ha("--lab", "drill", "run", "app-kill")
    finally:
        booted.on_host("app2", "systemctl", "start", "event-manager")
    assert done.exit_code == 2, done.stderr
    assert "not healthy" in done.stderr
    eventually("the estate is healthy", lambda: booted.status()["healthy"], deadline_s=HEALTHY_S)

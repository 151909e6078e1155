"""Whether there is a lab, and what is never removed. No lab runs here: only its lock and its folder are made."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import leftovers, lock
from lab.lab import Lab, Presence
from spec.errors import HaError


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "state")


@contextmanager
def started_by_another(lab: Lab) -> Iterator[int]:
    """Another process holds the lock, as `ha lab up` does while it builds the image; its process id."""
    program = (
        "import pathlib, sys; from lab import lock\n"
        "with lock.held(pathlib.Path(sys.argv[1]), doing='starting'):\n    print('held', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", program, str(lab.paths.lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child.pid
        child.stdin.close()


def test_what_a_lab_made_is_removed_with_its_lock(lab: Lab, tmp_path: Path) -> None:
    leftovers.make_state(lab.paths.state)
    lab.paths.hosts_logs.mkdir()
    lab.paths.supervisor_log.touch()
    lab.stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "/lab"])
def test_a_state_path_at_or_below_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    lab = Lab(Path(f"{tmp_path}/file{below}"))
    with pytest.raises(HaError, match="the lab's state") as refused:
        lab.stop()
    assert refused.value.exit_code == 2
    assert not lab.running()


def test_what_is_being_started_by_another_is_left_alone(lab: Lab) -> None:
    leftovers.make_state(lab.paths.state)
    with started_by_another(lab) as pid:
        assert lab.presence() is Presence.BUSY
        acts: list[Callable[[], object]] = [lab.stop, lab.status, lab.supervisor_pid, lambda: lab.logs("db1")]
        for act in acts:
            with pytest.raises(HaError, match="a lab is starting") as told:
                act()
            assert told.value.exit_code == 1
            assert str(pid) in told.value.fix
        assert lab.paths.state.exists()
        assert lab.paths.lock.exists()
    lab.stop()
    assert not lab.paths.state.exists()


def test_a_lab_that_does_not_answer_is_no_absent_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.supervisor.control.ANSWER_S", 0.2)
    with pytest.raises(HaError, match="no lab is running"):
        lab.status()
    leftovers.make_state(lab.paths.state)
    with started_by_another(lab), socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(lab.paths.control))
        silent.listen()
        with pytest.raises(HaError, match="the lab does not answer"):
            lab.status()


def test_without_root_a_lab_that_is_there_cannot_be_asked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HaError, match="no lab is running"):
        lab.status()
    with started_by_another(lab), pytest.raises(HaError, match="needs root") as refused:
        lab.status()
    assert refused.value.exit_code == 2


def test_a_lab_is_ending_once_it_is_told_to(lab: Lab) -> None:
    assert lab.ended()
    leftovers.make_state(lab.paths.state)
    with started_by_another(lab):
        assert lab.ended()
        lab.paths.control.touch()
        assert not lab.ended()
        lab.paths.ending.touch()
        assert lab.ended()


def test_the_state_is_removed_only_once_the_engine_has_let_go(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.leftovers.DEADLINE_S", 0.2)
    leftovers.make_state(lab.paths.state)
    with lock.held(lab.paths.engine_lock, doing="up"):
        with pytest.raises(HaError, match="an operation of the engine does not end") as told:
            lab.stop()
        assert str(os.getpid()) in told.value.fix
        assert lab.paths.marker.exists()
    lab.stop()
    assert not lab.paths.state.exists()

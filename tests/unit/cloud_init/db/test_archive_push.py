"""PostgreSQL's archive_command: PostgreSQL's end never waits for it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from components.host_files import CLOUD_INIT_DIR

PROGRAM = CLOUD_INIT_DIR / "db/files/usr/local/lib/ha/pgbackrest-archive-push"


def postmaster(pid: int, state: str = "ready   ") -> str:
    return f"{pid}\n/srv/data/postgresql/main\n{state}\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """PostgreSQL's folder, in which it runs."""
    (tmp_path / "bin").mkdir()
    folder = tmp_path / "main"
    folder.mkdir()
    (folder / "postmaster.pid").write_text(postmaster(os.getpid()))
    return folder


def push(data: Path, pgbackrest: str) -> subprocess.Popen[bytes]:
    program = data.parent / "bin/pgbackrest"
    program.write_text(f'#!/bin/sh\necho "$@" >>{data.parent}/calls\n{pgbackrest}\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    command = [str(PROGRAM), "pg_wal/000000010000000000000007"]
    return subprocess.Popen(command, cwd=data, env={"PATH": path}, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("status", [0, 45])
def test_the_status_is_that_of_the_push(data: Path, status: int) -> None:
    assert push(data, f"exit {status}").wait(10) == status
    assert (data.parent / "calls").read_text() == "--stanza=ha archive-push pg_wal/000000010000000000000007\n"


def test_a_push_that_hangs_ends_when_postgresql_shuts_down(data: Path) -> None:
    run = push(data, f"echo $$ >{data.parent}/pid; exec sleep 60")
    while not (data.parent / "pid").exists():
        assert run.poll() is None
        time.sleep(0.01)
    (data / "postmaster.pid").write_text(postmaster(os.getpid(), "stopping"))
    began = time.monotonic()
    # PostgreSQL's archiver ends by such a status; after another one it would try twice more.
    assert run.wait(10) > 125
    assert time.monotonic() - began < 2
    assert not Path(f"/proc/{(data.parent / 'pid').read_text().strip()}").exists()


def test_nothing_is_pushed_while_postgresql_shuts_down(data: Path) -> None:
    (data / "postmaster.pid").write_text(postmaster(os.getpid(), "stopping"))
    assert push(data, "exit 0").wait(10) > 125
    assert not (data.parent / "calls").exists()


def test_a_push_that_hangs_ends_with_a_postmaster_that_died(data: Path) -> None:
    """Another one cannot start before: the archiver is attached to the shared memory of the old one."""
    with subprocess.Popen(["sleep", "60"]) as postgres:
        (data / "postmaster.pid").write_text(postmaster(postgres.pid))
        run = push(data, f"echo $$ >{data.parent}/pid; exec sleep 60")
        while not (data.parent / "pid").exists():
            assert run.poll() is None
            time.sleep(0.01)
        postgres.kill()
        postgres.wait()
        began = time.monotonic()
        assert run.wait(10) > 125
    assert time.monotonic() - began < 2
    assert not Path(f"/proc/{(data.parent / 'pid').read_text().strip()}").exists()


def test_a_push_whose_archiver_was_killed_leaves_nothing_behind(data: Path) -> None:
    run = push(data, f"echo $$ >{data.parent}/pid; exec sleep 60")
    while not (data.parent / "pid").exists():
        time.sleep(0.01)
    run.kill()
    run.wait()
    left = Path(f"/proc/{(data.parent / 'pid').read_text().strip()}")
    deadline = time.monotonic() + 3
    while left.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left.exists()

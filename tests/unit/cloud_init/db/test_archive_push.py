"""PostgreSQL's archive_command: PostgreSQL's end never waits for it, and what waits for the archive fills no volume."""

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


def stand_in(data: Path, name: str, script: str) -> Path:
    program = data.parent / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def push(data: Path, pgbackrest: str) -> subprocess.Popen[bytes]:
    stand_in(data, "pgbackrest", f'echo "$@" >>{data.parent}/calls\n{pgbackrest}')
    text = PROGRAM.read_text().replace("/etc/ha/", f"{data.parent}/etc/").replace("/srv/data/", f"{data.parent}/")
    program = stand_in(data, PROGRAM.name, text)
    path = f"{program.parent}:{os.environ['PATH']}"
    command = [str(program), "pg_wal/000000010000000000000007"]
    return subprocess.Popen(command, cwd=data, env={"PATH": path}, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("status", [0, 45])
def test_the_status_is_that_of_the_push(data: Path, status: int) -> None:
    assert push(data, f"exit {status}").wait(40) == status
    assert (data.parent / "calls").read_text() == "--stanza=ha archive-push pg_wal/000000010000000000000007\n"


def test_a_push_that_hangs_ends_when_postgresql_shuts_down(data: Path) -> None:
    run = push(data, f"echo $$ >{data.parent}/pid; exec sleep 60")
    while not (data.parent / "pid").exists():
        assert run.poll() is None
        time.sleep(0.01)
    (data / "postmaster.pid").write_text(postmaster(os.getpid(), "stopping"))
    began = time.monotonic()
    # PostgreSQL's archiver ends by such a status; after another one it would try twice more.
    assert run.wait(40) > 125
    assert time.monotonic() - began < 10
    assert not Path(f"/proc/{(data.parent / 'pid').read_text().strip()}").exists()


def test_nothing_is_pushed_while_postgresql_shuts_down(data: Path) -> None:
    (data / "postmaster.pid").write_text(postmaster(os.getpid(), "stopping"))
    assert push(data, "exit 0").wait(40) > 125
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
        assert run.wait(40) > 125
    assert time.monotonic() - began < 10
    assert not Path(f"/proc/{(data.parent / 'pid').read_text().strip()}").exists()


def test_a_push_whose_archiver_was_killed_leaves_nothing_behind(data: Path) -> None:
    run = push(data, f"echo $$ >{data.parent}/pid; exec sleep 60")
    while not (data.parent / "pid").exists():
        time.sleep(0.01)
    run.kill()
    run.wait()
    left = Path(f"/proc/{(data.parent / 'pid').read_text().strip()}")
    deadline = time.monotonic() + 20
    while left.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left.exists()


@pytest.fixture
def queue(data: Path) -> Path:
    """The folder of what waits, on a volume with room for 12 segments of 1 MiB."""
    (data.parent / "etc/postgresql.d").mkdir(parents=True)
    (data.parent / "etc/postgresql.d/20-size.conf").write_text("work_mem = '4MB'\nwal_keep_size = '12MB'\n")
    (data.parent / "pgbackrest/42").mkdir(parents=True)
    control(data, 1)
    folder = data / "pg_wal/archive_status"
    folder.mkdir(parents=True)
    return folder


def control(data: Path, segment_mib: int) -> None:
    lines = ("Database system identifier:           42", f"Bytes per WAL segment:                {segment_mib << 20}")
    stand_in(data, "pg_controldata", "\n".join(f"echo '{line}'" for line in lines))


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{number:016X}"


def wait_for_the_archive(queue: Path, *segments: str) -> None:
    for name in segments:
        (queue / f"{name}.ready").touch()


def in_state(queue: Path, state: str) -> list[str]:
    return sorted(path.stem for path in queue.glob(f"*.{state}"))


def marks(data: Path) -> list[str]:
    return sorted(path.name for path in data.parent.glob("pgbackrest/42/lost/*"))


def test_what_the_volume_has_room_for_waits(data: Path, queue: Path) -> None:
    waiting = [segment(number) for number in range(12)]
    wait_for_the_archive(queue, *waiting)
    assert push(data, "exit 45").wait(40) == 45
    assert in_state(queue, "ready") == waiting
    assert marks(data) == []


def test_past_the_limit_the_newest_are_dropped_and_noted(data: Path, queue: Path) -> None:
    """The older ones lead on from what the archive has. A history file is no segment: without it none is of use."""
    waiting = [segment(number) for number in range(9)] + [segment(number, 2) for number in range(8, 14)]
    wait_for_the_archive(queue, *waiting, "00000002.history")
    assert push(data, "exit 45").wait(40) == 45
    assert in_state(queue, "ready") == sorted([*waiting[:12], "00000002.history"])
    assert in_state(queue, "done") == waiting[12:]
    assert marks(data) == [waiting[-1]]


def test_the_mark_is_of_what_was_dropped_last(data: Path, queue: Path) -> None:
    wait_for_the_archive(queue, *map(segment, range(13)))
    push(data, "exit 45").wait(40)
    wait_for_the_archive(queue, segment(13))
    push(data, "exit 45").wait(40)
    assert marks(data) == [segment(13)]
    assert len(in_state(queue, "ready")) == 12


def test_the_limit_counts_bytes(data: Path, queue: Path) -> None:
    """A pair that was made before there were backups has segments of 16 MiB."""
    (data.parent / "etc/postgresql.d/20-size.conf").write_text("wal_keep_size = '192MB'\n")
    control(data, 16)
    wait_for_the_archive(queue, *map(segment, range(14)))
    push(data, "exit 45").wait(40)
    assert in_state(queue, "ready") == [segment(number) for number in range(12)]


def test_nothing_is_dropped_without_a_mark(data: Path, queue: Path) -> None:
    (data.parent / "pgbackrest/42/lost").touch()  # no folder can be made
    wait_for_the_archive(queue, *map(segment, range(14)))
    assert push(data, "exit 0").wait(40) == 0
    assert len(in_state(queue, "ready")) == 14

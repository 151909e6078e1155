"""When a PostgreSQL whose volume stands still is ended."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from drills import budget
from lab.waiting import eventually
from tests.unit.cloud_init.rendering import files_of, program

PROGRAM = program("db/files/usr/local/lib/ha/stalled-disk")


@pytest.fixture
def ended() -> list[int]:
    return []


@pytest.fixture
def disk(ended: list[int]) -> Any:
    return PROGRAM.Disk(ended.append)


def test_it_is_ended_once_when_no_write_has_come_back(disk: Any, ended: list[int]) -> None:
    disk.wrote(42)
    for _ in range(PROGRAM.STILL_LOOKS):
        disk.look()
    assert ended == []
    for _ in range(5):
        disk.look()
    assert ended == [42]


def test_one_that_was_started_on_a_volume_that_answers_again_is_watched_too(disk: Any, ended: list[int]) -> None:
    for postgres in (42, 43):
        disk.wrote(postgres)
        for _ in range(PROGRAM.STILL_LOOKS + 1):
            disk.look()
    assert ended == [42, 43]


def test_a_slow_volume_is_left_alone(disk: Any, ended: list[int]) -> None:
    for _ in range(20):
        disk.wrote(42)
        for _ in range(PROGRAM.STILL_LOOKS):
            disk.look()
    assert ended == []


def test_where_none_runs_none_is_ended(disk: Any, ended: list[int]) -> None:
    disk.wrote(0)
    for _ in range(PROGRAM.STILL_LOOKS + 5):
        disk.look()
    assert ended == []


def test_which_postgresql_it_is(tmp_path: Path) -> None:
    assert PROGRAM.postgres_of(tmp_path) == 0
    (tmp_path / "postmaster.pid").write_text("")
    assert PROGRAM.postgres_of(tmp_path) == 0
    (tmp_path / "postmaster.pid").write_text("4711\n/srv/data/postgresql/main\n")
    assert PROGRAM.postgres_of(tmp_path) == 4711


def test_nothing_but_postgresql_is_ended(tmp_path: Path) -> None:
    sleep = Path("/usr/bin/sleep")
    named = tmp_path / "postgres"
    named.write_bytes(sleep.read_bytes())
    named.chmod(0o755)
    other, postgres = (subprocess.Popen([one, "60"]) for one in (sleep, named))
    try:
        name = Path(f"/proc/{postgres.pid}/comm")
        eventually("its exec is done", lambda: name.read_text() == "postgres\n", deadline_s=10, every_s=0.01)
        PROGRAM.end(other.pid)
        PROGRAM.end(postgres.pid)
        assert postgres.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        PROGRAM.end(postgres.pid)  # it is gone
    finally:
        other.kill()
        other.wait()


def test_it_writes_past_the_page_cache(tmp_path: Path) -> None:
    file = tmp_path / "block"

    class Enough(Exception):
        pass

    writes = []

    def wrote() -> None:
        writes.append(file.stat().st_size)
        raise Enough

    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_DIRECT))
    except OSError:
        pytest.skip("the file system of this machine's temporary files takes no O_DIRECT")
    with pytest.raises(Enough):
        PROGRAM.write(str(file), wrote)
    assert writes == [4096]


def test_the_budget_counts_what_it_waits() -> None:
    assert budget.STILL_MS == 1000 * PROGRAM.EVERY_S * (1 + PROGRAM.STILL_LOOKS + 1)
    unit = files_of("db1")["/etc/systemd/system/ha-stalled-disk.service"]
    assert "ReadWritePaths=/srv/data\n" in unit
    assert "ExecStart=/usr/local/lib/ha/stalled-disk /srv/data/postgresql/" in unit

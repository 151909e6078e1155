"""A keeper whose PostgreSQL is dead is ended, a PostgreSQL of its own that waits for a client is stopped; no others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.host_files import CLOUD_INIT_DIR
from lab.waiting import eventually

PROGRAM = CLOUD_INIT_DIR / "db/files/usr/local/lib/ha/stalled-keeper"
LOOKS_S = 0.1
WATCHED_S = 8 * LOOKS_S
"""How long nothing may happen: it acts on what it has seen in two looks."""
# What a keeper waits for has the name of its program. The dead one is never asked for, so that it stays.
KEEPER = """
import subprocess, sys, time
child = subprocess.Popen([sys.argv[1], sys.argv[2]])
print("started", child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with _running(["sh", str(PROGRAM), str(LOOKS_S), str(tmp_path)]) as process:
        yield process


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """With what it starts, which ends with it."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def keeper(folder: Path, child: str, seconds: str, title: str = "pg_autoctl: node active") -> list[str]:
    program = folder / child
    program.symlink_to("/bin/sleep")
    return ["bash", "-c", f'exec -a "{title}" {sys.executable} -c "$0" "$@"', KEEPER, str(program), seconds]


def test_it_is_ended_when_its_postgres_is_dead(tmp_path: Path, watch: subprocess.Popen[str]) -> None:
    with _running(keeper(tmp_path, "postgres", "0")) as process:
        assert process.wait(20) == -9
    assert watch.stdout is not None
    assert "sent signal: KILL" in watch.stdout.readline()


@pytest.mark.parametrize(
    ("child", "seconds", "title"),
    [
        pytest.param("postgres", "60", "pg_autoctl: node active", id="alive"),
        pytest.param("pg_rewind", "0", "pg_autoctl: node active", id="another program"),
        pytest.param("postgres", "0", "pg_autoctl: start/stop postgres", id="not the keeper's"),
        pytest.param("postgres", "0", "postgres: checkpointer", id="a backend"),
    ],
)
def test_it_is_left_alone(tmp_path: Path, watch: subprocess.Popen[str], child: str, seconds: str, title: str) -> None:
    with _running(keeper(tmp_path, child, seconds, title)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("started")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(WATCHED_S)
    assert watch.poll() is None


def the_lock_says(folder: Path, status: str, process: subprocess.Popen[str]) -> int:
    """What a postmaster writes of itself, the state of its ending in the last line; whose it is."""
    assert process.stdout is not None
    pid = int(process.stdout.readline().split()[1])
    (folder / "postmaster.pid").write_text(f"{pid}\n{folder}\n1795971911\n5432\n\n\n2359314  13\n{status:8}\n")
    return pid


def test_a_postgres_that_waits_for_a_client_to_leave_is_stopped(tmp_path: Path, watch: subprocess.Popen[str]) -> None:
    with _running(keeper(tmp_path, "postgres", "60")) as process:
        pid = the_lock_says(tmp_path, "stopping", process)
        assert watch.stdout is not None
        assert "sent signal: INT" in watch.stdout.readline()
        assert process.poll() is None
        eventually("it has ended", lambda: "(zombie)" in Path(f"/proc/{pid}/status").read_text(), deadline_s=20)


def test_one_that_recovers_is_left_alone(tmp_path: Path, watch: subprocess.Popen[str]) -> None:
    with _running(keeper(tmp_path, "postgres", "60")) as process:
        pid = the_lock_says(tmp_path, "standby", process)
        with pytest.raises(subprocess.TimeoutExpired):
            watch.wait(WATCHED_S)
        assert Path(f"/proc/{pid}/exe").resolve() == Path("/bin/sleep").resolve()


def test_one_that_is_not_the_keepers_is_left_alone(tmp_path: Path, watch: subprocess.Popen[str]) -> None:
    with _running(keeper(tmp_path, "postgres", "60", "pg_autoctl: start/stop postgres")) as process:
        pid = the_lock_says(tmp_path, "stopping", process)
        with pytest.raises(subprocess.TimeoutExpired):
            watch.wait(WATCHED_S)
        assert Path(f"/proc/{pid}/exe").resolve() == Path("/bin/sleep").resolve()

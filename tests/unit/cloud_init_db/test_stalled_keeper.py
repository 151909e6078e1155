"""A keeper that waits for a PostgreSQL which is dead is ended, and no other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.user_data import CLOUD_INIT_DIR

PROGRAM = CLOUD_INIT_DIR / "db/files/usr/local/lib/ha/stalled-keeper"
LOOKS_S = 0.3
# What a keeper waits for has the name of its program. The dead one is never asked for, so that it stays.
KEEPER = """
import subprocess, sys, time
child = subprocess.Popen([sys.argv[1], sys.argv[2]])
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def watch() -> Iterator[subprocess.Popen[str]]:
    with _running(["sh", str(PROGRAM), str(LOOKS_S)]) as process:
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
    assert "the keeper was ended" in watch.stdout.readline()


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
        assert process.stdout.readline() == "started\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5 * LOOKS_S)
    assert watch.poll() is None

"""What the probe runs on a database host."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drills import tries

STUB = """#!/usr/bin/python3
import sys
print("started", file=open({log!r}, "a"))
for line in sys.stdin:
    if "insert" in line and {accepts}:
        print("accepted")
    if line == "\\\\echo end\\n" and {answers}:
        print("end", flush=True)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """The lock file of a server's socket, whose data directory is `data` beside it."""
    (tmp_path / "data").mkdir()
    path = tmp_path / ".s.PGSQL.5432.lock"
    path.write_text(f"123\n{tmp_path / 'data'}\n1795939594\n5432\n")
    return path


def _psql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, accepts: bool, answers: bool = True) -> Path:
    """Puts a stand-in for psql in place; the file returned has a line for each time it was started."""
    log, stub = tmp_path / "started", tmp_path / "psql"
    stub.write_text(STUB.format(log=str(log), accepts=accepts, answers=answers))
    stub.chmod(0o755)
    monkeypatch.setattr(tries, "COMMAND", (str(stub),))
    return log


def test_a_server_takes_no_commit_while_its_data_directory_says_standby(lock: Path) -> None:
    assert not tries.takes_no_commit(lock)
    (lock.parent / "data/standby.signal").touch()
    assert tries.takes_no_commit(lock)


@pytest.mark.parametrize("text", [None, "", "123\n"])
def test_without_a_server_nothing_takes_a_commit(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "lock"
    if text is not None:
        path.write_text(text)
    assert tries.takes_no_commit(path)


def test_a_session_stays_while_its_node_accepts_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _psql(tmp_path, monkeypatch, accepts=True)
    session = tries.Session("t", 10)
    assert [session.commits() for _ in range(3)] == [True] * 3
    session.close(kill=True)
    assert log.read_text() == "started\n"


def test_a_session_is_ended_by_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _psql(tmp_path, monkeypatch, accepts=False)
    session = tries.Session("t", 10)
    assert [session.commits() for _ in range(2)] == [False] * 2
    assert log.read_text() == "started\n" * 2


def test_a_commit_that_hangs_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _psql(tmp_path, monkeypatch, accepts=False, answers=False)
    assert not tries.Session("t", 0.2).commits()


def test_a_standby_is_not_asked_and_the_end_of_input_is_the_end(lock: Path) -> None:
    (lock.parent / "data/standby.signal").touch()
    argv = [sys.executable, str(tries.__file__), "t", str(lock), "0.01", "1"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=30)
    start, end, accepted = json.loads(done.stdout.splitlines()[0])
    assert start <= end
    assert accepted is False

"""What the probe runs on a database host."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from components.user_data import CLOUD_INIT_DIR
from drills import tries
from drills.probe import SOCKETS

PATRONI = Path(tries.__file__).with_name("peers") / "patroni"

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


def test_a_server_may_commit_unless_its_data_directory_says_standby(lock: Path) -> None:
    assert tries.may_commit(lock)
    (lock.parent / "data/standby.signal").touch()
    assert not tries.may_commit(lock)


def test_without_a_server_nothing_may_commit(tmp_path: Path) -> None:
    assert not tries.may_commit(tmp_path / "lock")


@pytest.mark.parametrize("text", ["", "123\n"])
def test_a_server_that_cannot_be_judged_is_tried(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text)
    assert tries.may_commit(path)


@pytest.mark.parametrize(
    "directories",
    [
        CLOUD_INIT_DIR / "db/files/etc/ha/postgresql.d/10-ha.conf.j2",
        PATRONI / "db/files/usr/local/lib/ha/patroni.yml.j2",
    ],
)
def test_the_probe_looks_where_the_servers_listen(directories: Path) -> None:
    found = re.findall(r"^\s*unix_socket_directories(?: =|:) '?([^'\n]+)'?$", directories.read_text(), re.M)
    assert found == [SOCKETS]


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


def _tried(lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> bool:
    """What the program says of its only try: its standard input has ended."""
    monkeypatch.setattr(sys, "argv", ["-c", "t", str(lock), "0.01", "10"])
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        tries.main()
    [line] = capsys.readouterr().out.splitlines()
    start, end, accepted = json.loads(line)
    assert start <= end
    return bool(accepted)


def test_a_standby_is_not_asked(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = _psql(tmp_path, monkeypatch, accepts=True)
    (lock.parent / "data/standby.signal").touch()
    assert not _tried(lock, monkeypatch, capsys)
    assert not log.exists()
    (lock.parent / "data/standby.signal").unlink()
    assert _tried(lock, monkeypatch, capsys)
    assert log.read_text() == "started\n"


def test_a_server_that_took_the_last_one_is_asked_though_a_file_says_standby(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _psql(tmp_path, monkeypatch, accepts=True)
    session = tries.Session("t", 10)
    assert tries.tried(session, lock)
    (lock.parent / "data/standby.signal").touch()
    assert tries.tried(session, lock)
    session.close(kill=True)
    assert not tries.tried(session, lock)

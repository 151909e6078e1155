"""What the probe runs on a database host."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from components.host_files import CLOUD_INIT_DIR
from drills import probe_loop
from drills.probe import SOCKETS

PATRONI = Path(probe_loop.__file__).with_name("peers") / "patroni"

# psql with ON_ERROR_STOP: it ends when a statement fails.
STUB = """#!/usr/bin/python3
import sys
print("started", file=open({log!r}, "a"))
for line in sys.stdin:
    if "insert" in line and {answers}:
        if not {accepts}:
            sys.exit(3)
        print("accepted")
    if line == "\\\\echo end\\n" and {answers}:
        print("end", flush=True)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """The lock file of a server's socket; the server's data directory is `data` beside it."""
    (tmp_path / "data").mkdir()
    path = tmp_path / ".s.PGSQL.5432.lock"
    path.write_text(f"123\n{tmp_path / 'data'}\n1795939594\n5432\n")
    return path


def psql_stub(tmp_path: Path, *, accepts: bool, answers: bool = True) -> tuple[list[str], Path]:
    """A stand-in for psql, and a file that has a line for each time it was started."""
    log, stub = tmp_path / "started", tmp_path / "psql"
    stub.write_text(STUB.format(log=str(log), accepts=accepts, answers=answers))
    stub.chmod(0o755)
    return [str(stub)], log


def test_a_server_may_commit_unless_its_data_directory_says_standby(lock: Path) -> None:
    assert probe_loop.may_commit(lock)
    (lock.parent / "data/standby.signal").touch()
    assert not probe_loop.may_commit(lock)


def test_without_a_server_no_commit_is_possible(tmp_path: Path) -> None:
    assert not probe_loop.may_commit(tmp_path / "lock")


@pytest.mark.parametrize("text", ["", "123\n"])
def test_a_server_whose_lock_file_says_too_little_is_asked(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text)
    assert probe_loop.may_commit(path)


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


def test_a_session_stays_while_its_node_accepts_writes(tmp_path: Path) -> None:
    psql, log = psql_stub(tmp_path, accepts=True)
    session = probe_loop.Session(psql, "t", 10)
    assert [session.commits() for _ in range(3)] == [True] * 3
    session.close(kill=True)
    assert log.read_text() == "started\n"


def test_a_session_ends_when_a_write_is_refused(tmp_path: Path) -> None:
    psql, log = psql_stub(tmp_path, accepts=False)
    session = probe_loop.Session(psql, "t", 10)
    for _ in range(2):
        assert not session.commits()
        assert not session.is_open
    assert log.read_text() == "started\n" * 2


def test_a_commit_that_hangs_is_not_accepted(tmp_path: Path) -> None:
    psql, _ = psql_stub(tmp_path, accepts=False, answers=False)
    assert not probe_loop.Session(psql, "t", 0.2).commits()


def only_attempt(
    lock: Path, psql: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> bool:
    """Whether the program's only attempt was accepted: its standard input has ended."""
    monkeypatch.setattr(sys, "argv", ["-c", "t", str(lock), "0.01", "10", *psql])
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        probe_loop.main()
    [line] = capsys.readouterr().out.splitlines()
    start, end, accepted = json.loads(line)
    assert start <= end
    return bool(accepted)


def test_a_standby_is_not_asked(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    psql, log = psql_stub(tmp_path, accepts=True)
    (lock.parent / "data/standby.signal").touch()
    assert not only_attempt(lock, psql, monkeypatch, capsys)
    assert not log.exists()
    (lock.parent / "data/standby.signal").unlink()
    assert only_attempt(lock, psql, monkeypatch, capsys)
    assert log.read_text() == "started\n"


def test_a_server_that_accepted_the_last_row_is_asked_whatever_its_files_say(lock: Path, tmp_path: Path) -> None:
    psql, _ = psql_stub(tmp_path, accepts=True)
    session = probe_loop.Session(psql, "t", 10)
    assert probe_loop.attempt(session, lock)
    (lock.parent / "data/standby.signal").touch()
    assert probe_loop.attempt(session, lock)
    session.close(kill=True)
    assert not probe_loop.attempt(session, lock)

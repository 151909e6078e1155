"""ha-backup, ha-backups and ha-backup-verify, with a stand-in for pgBackRest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.simulated_host import SimulatedHost
from tests.unit.repository import SEGMENT, wal

LABEL = "20261201-010203F_20261201-070203I"
INFO: list[dict[str, Any]] = [
    {
        "name": "ha",
        "status": {"code": 0, "message": "ok"},
        "backup": [
            {
                "label": "20261201-010203F",
                "type": "full",
                "timestamp": {"start": 100, "stop": 142},
                "info": {"size": 2000, "delta": 2000, "repository": {"delta": 300}},
            }
        ],
    }
]
POSTGRES = r"""
case "$*" in
  *pg_is_in_recovery*) cat ROOT/writable ;;
  *pg_stat_archiver*) cat ROOT/archiver ;;
  pg_controldata) printf '%s\n' 'Database system identifier: 42' 'Bytes per WAL segment: 1048576' ;;
  *' info') cat ROOT/info ;;
  *' repo-ls '*) cat ROOT/archived ;;
  *' verify') cat ROOT/verified ;;
  *' backup')
    echo "$$" >ROOT/backup; echo noise
    if [ -s ROOT/takes ]; then exec sleep $(cat ROOT/takes); fi
    cp ROOT/made ROOT/info
    ;;
esac
"""
SYSTEMCTL = r"""
case $1 in
  stop) kill -KILL $(cat ROOT/backup) ;;
  is-active) [ -e ROOT/units/ha-backup-now.service ] ;;
esac
"""
PRIMARY = '{"system_identifier": "42", "timeline": "00000001", "segment_bytes": 1048576}'
RUN = 'while [[ $1 = --* ]]; do shift; done; exec "$@"'


@pytest.fixture
def host(tmp_path: Path) -> SimulatedHost:
    """A primary with a full backup."""
    return primary(tmp_path)


def primary(folder: Path, **settings: object) -> SimulatedHost:
    host = SimulatedHost(folder, "db1", **settings)
    for path in ("sbin/ha-backup", "sbin/ha-backups", "lib/ha/repository.py", "lib/ha/wal_runs.py"):
        program = host.root / "usr/local" / path
        # Its library may not be found by its path alone.
        program.write_text(program.read_text().replace("#!/usr/bin/python3", "#!/usr/bin/env -S python3 -B"))
    host.replace_program("/usr/local/sbin/ha-postgres", POSTGRES)
    host.replace_program("/usr/local/sbin/ha-secret", "exit $(cat ROOT/copied)")
    host.stand_in("systemd-run", RUN)
    host.stand_in("systemctl", SYSTEMCTL)
    host.stand_in("ionice", 'shift 2; exec "$@"')
    data = host.root / "srv/data/postgresql/main"
    (data / "pg_wal/archive_status").mkdir(parents=True)
    (data / "postmaster.pid").write_text("4711\nready   \n")
    new = {**INFO[0]["backup"][0], "label": LABEL, "type": "incr"}
    known = {
        "writable": PRIMARY,
        "info": json.dumps(INFO),
        "made": json.dumps([{**INFO[0], "backup": [*INFO[0]["backup"], new]}]),
        "takes": "",
        "copied": "0",
        "archiver": '{"failed_count": 0}',
        "archived": json.dumps({f"17-1/{wal(7)[:16]}/{wal(7)}-{'a' * 40}.zst": {"type": "file", "time": 90}}),
    }
    for name, text in known.items():
        (host.root / name).write_text(text)
    return host


def program(host: SimulatedHost, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return host.run(f"{host.root}/usr/local/sbin/{name}", *arguments)


def test_a_backup_prints_one_line_of_json(host: SimulatedHost) -> None:
    done = program(host, "ha-backup", "incr")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"label": LABEL, "type": "incr", "bytes": 2000, "repository_bytes": 300, "took_s": 42}
    ]
    (run,) = host.sandbox.calls("systemd-run")
    for option in ("--unit=ha-backup-now", "--property=Nice=19", "--property=CPUWeight=idle"):
        assert option in run.split()


def test_on_a_standby_there_is_no_backup(host: SimulatedHost) -> None:
    (host.root / "writable").write_text("")
    done = program(host, "ha-backup")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert host.sandbox.calls("systemd-run") == []


@contextmanager
def long_backup(host: SimulatedHost) -> Iterator[subprocess.Popen[str]]:
    """A backup that runs; it has to end within the block, and soon."""
    (host.root / "takes").write_text("60")
    began = time.monotonic()
    with subprocess.Popen(
        [f"{host.root}/usr/local/sbin/ha-backup"],
        env={"PATH": f"{host.sandbox.bin}:/usr/bin:/bin"},
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        while not (host.root / "backup").exists():
            assert run.poll() is None
            time.sleep(0.01)
        yield run
    assert time.monotonic() - began < 50
    assert not Path(f"/proc/{(host.root / 'backup').read_text().strip()}").exists()


def test_a_backup_ends_with_the_role_of_its_host(host: SimulatedHost) -> None:
    with long_backup(host) as run:
        (host.root / "srv/data/postgresql/main/standby.signal").touch()
        assert run.wait(40) == 3
        assert "no longer the primary" in (run.stderr.read() if run.stderr else "")


def test_a_backup_does_not_go_on_after_its_host_stood_still(host: SimulatedHost) -> None:
    """Another primary may have made one meanwhile. The files of this node are still those of a primary."""
    program = host.root / "usr/local/sbin/ha-backup"
    program.write_text(program.read_text().replace("STOOD_STILL_S = 3.0", "STOOD_STILL_S = 1.5"))
    with long_backup(host) as run:
        os.kill(run.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(run.pid, signal.SIGCONT)
        assert run.wait(40) == 3
        assert "stood still" in (run.stderr.read() if run.stderr else "")


def test_no_backup_goes_on_without_its_watcher(host: SimulatedHost) -> None:
    with long_backup(host) as run:
        run.terminate()
        assert run.wait(40) == 1


def test_a_backup_that_a_hand_over_ended_is_no_backup(host: SimulatedHost) -> None:
    with long_backup(host) as run:
        os.kill(int((host.root / "backup").read_text()), signal.SIGKILL)
        assert run.wait(40) == 1
        assert "a hand-over ended it" in (run.stderr.read() if run.stderr else "")


def test_the_watcher_is_not_in_the_unit_of_the_lowest_priority(host: SimulatedHost) -> None:
    program(host, "ha-backup")
    (run,) = host.sandbox.calls("systemd-run")
    assert "ha-postgres pgbackrest " in run
    # A stop, such as a hand-over's, is at once.
    assert "--property=KillSignal=SIGKILL" in run.split()
    assert "Nice" not in (host.root / "etc/systemd/system/ha-backup.service").read_text()


@pytest.mark.parametrize(("copied", "code"), [("0", 0), ("1", 1)])
def test_the_first_backup_waits_for_the_copy_of_the_passphrase(tmp_path: Path, copied: str, code: int) -> None:
    host = primary(tmp_path, backups={"copy_region": "eu-west-1"})
    (host.root / "info").write_text(json.dumps([{"name": "ha", "status": {"code": 2}, "backup": []}]))
    (host.root / "copied").write_text(copied)
    done = program(host, "ha-backup", "full")
    assert done.returncode == code, done.stderr
    assert (host.root / "backup").exists() is (code == 0)
    (asked,) = host.sandbox.calls("ha-secret")
    assert asked.endswith("--copy=eu-west-1 /ha-backups/dev/cipher-passphrase")


def test_a_later_backup_does_not_wait_for_it(tmp_path: Path) -> None:
    host = primary(tmp_path, backups={"copy_region": "eu-west-1"})
    (host.root / "copied").write_text("1")
    assert program(host, "ha-backup").returncode == 0


def test_of_two_backups_the_second_is_refused(host: SimulatedHost) -> None:
    (host.root / "units/ha-backup-now.service").write_text("x 1\n")
    done = program(host, "ha-backup")
    assert done.returncode == 1
    assert "another one is running" in done.stderr


def test_a_mistyped_kind_is_refused(host: SimulatedHost) -> None:
    assert program(host, "ha-backup", "fulll").returncode == 2


def test_the_document_of_the_backups(host: SimulatedHost) -> None:
    (host.root / "srv/data/postgresql/main/pg_wal/archive_status/000000010000000000000001.ready").touch()
    done = program(host, "ha-backups")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["info"] == INFO
    assert found["system_identifier"] == "42"
    assert found["wal"] == {"segment_bytes": SEGMENT, "runs": [{"first": wal(7), "last": wal(7), "archived": 90}]}
    assert (found["archiver"]["ready"], found["archiver"]["failed_count"]) == (1, 0)


def test_an_archive_that_cannot_be_listed_is_null(host: SimulatedHost) -> None:
    (host.root / "archived").unlink()
    assert json.loads(program(host, "ha-backups").stdout)["wal"] is None


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("error", 1)])
def test_what_a_verification_finds_is_its_exit_status(host: SimulatedHost, status: str, code: int) -> None:
    """pgBackRest's own is 0 either way."""
    (host.root / "verified").write_text(f"stanza: ha\nstatus: {status}\n  backup: 20261201-010203F, invalid: 1\n")
    done = program(host, "ha-backup-verify")
    assert done.returncode == code, done.stderr
    assert "20261201-010203F" in done.stdout

"""What 70-backups makes of the data's identity, the settings and the passphrase."""

from __future__ import annotations

import configparser
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.sandbox import STEPS
from tests.unit.cloud_init.simulated_host import SimulatedHost

CONTROL = "echo 'pg_control version number: 1700'; echo 'Database system identifier:           {}'"


def set_up(folder: Path, identifier: str = "7714133082649741743", **settings: Any) -> SimulatedHost:
    host = SimulatedHost(folder, "db1", **settings)
    host.replace_program(
        "/usr/local/sbin/ha-postgres", f"case $1 in pg_controldata) {CONTROL.format(identifier)} ;; esac"
    )
    host.stand_in("ha-secret", "echo correct-horse")
    host.edit("/etc/ha/postgresql.d/20-size.conf", "wal_keep_size = '976MB'\nmax_slot_wal_keep_size = '3906MB'\n")
    return host


def step(host: SimulatedHost) -> subprocess.CompletedProcess[str]:
    return host.run("bash", f"{host.root}{STEPS}70-backups")


def written(host: SimulatedHost, section: str = "global") -> configparser.SectionProxy:
    found = configparser.ConfigParser(delimiters="=", interpolation=None)
    found.read(host.root / "etc/pgbackrest/pgbackrest.conf")
    return found[section]


def test_the_configuration_is_of_this_database_and_for_postgres_alone(tmp_path: Path) -> None:
    host = set_up(tmp_path, backups={"retention_days": 30})
    done = step(host)
    assert done.returncode == 0, done.stderr
    found = written(host)
    assert found["repo1-path"] == "/pgbackrest/7714133082649741743"
    assert found["spool-path"].endswith("/srv/data/pgbackrest/7714133082649741743")
    assert found["repo1-s3-bucket"].startswith("ha-dev-backups-")
    assert (found["repo1-retention-full-type"], found["repo1-retention-full"]) == ("time", "30")
    assert found["repo1-cipher-pass"] == "correct-horse"
    file = host.root / "etc/pgbackrest/pgbackrest.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "correct-horse" not in done.stdout + done.stderr
    assert "correct-horse" not in (host.root / "calls").read_text()


def test_wal_is_dropped_by_our_own_limit_alone(tmp_path: Path) -> None:
    """pgBackRest's drops all that waits, and leaves no mark."""
    host = set_up(tmp_path)
    step(host)
    assert "archive-push-queue-max" not in written(host)
    assert written(host)["process-max"] == "1"
    pushes = written(host, "global:archive-push")
    assert (pushes["process-max"], pushes["archive-timeout"]) == ("4", "15")


NAME = "/ha-backups/dev/cipher-passphrase"


@pytest.mark.parametrize(
    ("backups", "reachable", "asked"),
    [
        ({}, True, [f"ha-secret {NAME}"]),
        ({"copy_region": "eu-west-1"}, True, [f"ha-secret --wait=20 --copy=eu-west-1 {NAME}"]),
        (
            {"copy_region": "eu-west-1"},
            False,
            [f"ha-secret --wait=20 --copy=eu-west-1 {NAME}", f"ha-secret {NAME}"],
        ),
    ],
)
def test_the_region_of_the_copy_holds_up_no_host(
    tmp_path: Path, backups: dict[str, str], reachable: bool, asked: list[str]
) -> None:
    host = set_up(tmp_path, backups=backups)
    if not reachable:
        host.stand_in("ha-secret", "case $* in *--copy=*) exit 1 ;; esac; echo correct-horse")
    done = step(host)
    assert done.returncode == 0, done.stderr
    assert host.sandbox.calls("ha-secret") == asked
    assert written(host)["repo1-cipher-pass"] == "correct-horse"


@pytest.mark.parametrize("missing", ["identifier", "passphrase"])
def test_without_its_parts_nothing_is_written(tmp_path: Path, missing: str) -> None:
    host = set_up(tmp_path, identifier="" if missing == "identifier" else "42")
    if missing == "passphrase":
        host.stand_in("ha-secret", "exit 1")
    assert step(host).returncode != 0
    assert not (host.root / "etc/pgbackrest/pgbackrest.conf").exists()


def test_no_running_node_asks_the_archive() -> None:
    """A standby with a restore_command does, before it is promoted."""
    files = files_of("db1")
    assert not any("\nrestore_command" in text for text in files.values())
    settings = files["/etc/ha/postgresql.d/10-ha.conf"]
    assert "\narchive_mode = on\n" in settings
    assert "\narchive_timeout = '60s'\n" in settings


def test_new_pairs_have_small_segments() -> None:
    node = files_of("db1")[f"{STEPS}50-node"]
    assert node.count("pg_resetwal --wal-segsize=1 ") == 1
    assert node.index("pg_autoctl create") < node.index("pg_resetwal") < node.index("mv $home/creating")

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


def written(host: SimulatedHost) -> configparser.SectionProxy:
    found = configparser.ConfigParser(delimiters="=", interpolation=None)
    found.read(host.root / "etc/pgbackrest/pgbackrest.conf")
    return found["global"]


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


def test_the_queue_holds_no_more_than_the_standby_keeps(tmp_path: Path) -> None:
    host = set_up(tmp_path)
    step(host)
    assert written(host)["archive-push-queue-max"] == "976MiB"


@pytest.mark.parametrize(
    ("backups", "asked"),
    [
        ({}, "ha-secret /ha-backups/dev/cipher-passphrase"),
        ({"copy_region": "eu-west-1"}, "ha-secret --copy=eu-west-1 /ha-backups/dev/cipher-passphrase"),
    ],
)
def test_the_passphrase_is_kept_wherever_the_backups_are(tmp_path: Path, backups: dict[str, str], asked: str) -> None:
    host = set_up(tmp_path, backups=backups)
    step(host)
    assert host.sandbox.calls("ha-secret") == [asked]


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

"""`ha db` as a user meets it, against a pair that is made up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import console
from cli.main import app
from ops import host_job, proof, switchover
from ops.lease import Lease
from spec.errors import EXIT_FAILED, EXIT_USAGE, HaError
from spec.project import REPOSITORY
from tests.unit.conftest import Bucket
from tests.unit.ops.backed_up import BackedUp
from tests.unit.ops.pair import Pair
from tests.unit.repository import archived, at, backup, described, run, stanza, usual, wal

CLOCKS = re.compile(" is of | in the last ")
"""Problems that depend on the time of the test."""


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> Callable[[Any], None]:
    def to(pair: Any) -> None:
        monkeypatch.setattr(switchover, "_POLL_S", 0.0)
        monkeypatch.setattr(host_job, "POLL_S", 0.0)
        monkeypatch.setattr("ops.lease._leases", {})
        monkeypatch.setattr(pair, "client", bucket.api.client, raising=False)
        monkeypatch.setattr("cli.connect.connect", lambda *_, **__: pair)

    return to


def test_the_command_says_who_is_primary_and_how_long_it_took(connected: Callable[[Pair], None]) -> None:
    connected(Pair(looks=1))
    done = CliRunner().invoke(app, ["--lab", "db", "switchover", "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["primary_before"] == "db1"
    assert found["primary_after"] == "db2"
    assert found["writable_s"] == 1.423
    assert found["took_s"] >= 0
    assert "switching over from db1 to db2" in done.stderr


def test_the_command_in_words(connected: Callable[[Pair], None]) -> None:
    connected(Pair(looks=1))
    done = CliRunner().invoke(app, ["--lab", "db", "switchover"])
    assert "dev on lab: db2 is the primary now, db1 was. It accepted writes after 1.4 s" in done.stdout


def test_the_command_is_refused_while_another_operation_runs(connected: Callable[[Pair], None], bucket: Bucket) -> None:
    pair = Pair(looks=1)
    connected(pair)
    with Lease(bucket.s3, bucket.name, "pulumi up"):
        done = CliRunner().invoke(app, ["--lab", "db", "switchover"])
    assert isinstance(done.exception, HaError)
    assert "another operation is under way: 'pulumi up'" in done.exception.what
    assert pair.asked == []


@pytest.fixture
def pair(tmp_path: Path, connected: Callable[[Any], None]) -> BackedUp:
    made = BackedUp(tmp_path)
    connected(made)
    return made


def test_a_backup_in_words_and_in_json(pair: BackedUp) -> None:
    done = CliRunner().invoke(app, ["--lab", "db", "backup", "--full"])
    assert done.stdout == (
        "dev on lab: db1 made the full backup 20261201-200000F in 5.9 s: 21.5 MiB added to the repository "
        "for a database of 172 MiB.\n"
    )
    assert "db1 makes a full backup" in done.stderr
    done = CliRunner().invoke(app, ["--lab", "db", "backup", "--json"])
    assert json.loads(done.stdout)["label"] == "20261201-200000F"
    assert pair.given("ha-backup") == ["full", "incr"]


def test_a_backup_is_refused_with_who_operates_on_the_estate(pair: BackedUp, bucket: Bucket) -> None:
    with Lease(bucket.s3, bucket.name, "ha db backup"):
        done = CliRunner().invoke(app, ["--lab", "db", "backup"])
    assert isinstance(done.exception, HaError)
    assert "another operation is under way: 'ha db backup' by " in done.exception.what
    assert pair.given("ha-backup") == []


def test_what_there_is_in_words(pair: BackedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 200)
    pair.describes(described(stanza(usual()), wal=archived(run(1, 10, at(3)), run(15, 40, at(8)))))
    done = CliRunner().invoke(app, ["--lab", "db", "backups"])
    assert done.exit_code == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "backup ended (UTC) took database added kept until"
    assert lines[1] == "20261201-120000F 2026-12-01 12:01 1 min 0 s 172 MiB 21.5 MiB"
    assert lines[2] == "_20261201-180000I 2026-12-01 18:00 6 s 172 MiB 1.1 MiB"
    assert "one can go back to: 2026-12-01 12:01:00 UTC until 2026-12-01 15:00:00 UTC" in lines
    assert "one can go back to: 2026-12-01 18:00:06 UTC until 2026-12-01 20:00:00 UTC" in lines
    hole = f"problem: a hole in the archive: 4 segments are missing after {wal(10)}, before {wal(15)}"
    assert hole in lines
    assert lines[-1] == "dev on lab: 2 backups, archived until 2026-12-01 19:59:30 UTC (as db1 says)"


def test_a_row_of_the_table_fits_80_columns(pair: BackedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 80)
    bytes_ = 150 * 2**30 - 1
    large: dict[str, Any] = {"info": {"size": bytes_, "delta": bytes_, "repository": {"delta": bytes_}}}
    full = backup(at(0), at(0) + 3599, **large)
    found = [full, backup(at(6), at(6) + 3599, full["label"], **large), backup(at(240), at(241), **large)]
    pair.describes(described(stanza(found)))
    lines = CliRunner().invoke(app, ["--lab", "db", "backups"]).stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == [
        "backup",
        "20261201-120000F",
        "_20261201-180000I",
        "20261211-120000F",
    ]
    assert lines[2].split()[3:] == ["59", "min", "59", "s", "150", "GiB", "150", "GiB", "2026-12-25"]


def test_a_backup_that_cannot_be_restored_is_marked(pair: BackedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose full backup is gone: its label is whole."""
    monkeypatch.setattr(console.out, "_width", 200)
    _, orphan = usual()
    pair.describes(described(stanza([orphan])))
    row = CliRunner().invoke(app, ["--lab", "db", "backups"]).stdout.splitlines()[1].split()
    assert (row[0], row[-1]) == ("20261201-120000F_20261201-180000I", "unusable")


def test_the_page_shows_what_the_command_prints(
    pair: BackedUp, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "_width", 80)
    when = datetime(2026, 12, 1, 19, 12, 30, tzinfo=UTC)
    proof.write(
        bucket.s3,
        bucket.name,
        proof.Proof(at=when, good=True, backup="20261201-120000F_20261201-180000I", rpo_s=41, restore_s=63),
    )
    pair.describes(described(stanza(usual()), wal=archived(run(1, 10, at(3)), run(15, 40, at(8)))))
    printed = CliRunner().invoke(app, ["--lab", "db", "backups"]).stdout
    shown = [line for line in map(str.rstrip, printed.splitlines()) if not CLOCKS.search(line)]
    assert "\n".join(shown) in (REPOSITORY / "docs/recovery.md").read_text(encoding="utf-8")


def test_nothing_yet_in_words(pair: BackedUp) -> None:
    pair.describes(described(stanza(code=2, message="no valid backups"), wal=archived()))
    done = CliRunner().invoke(app, ["--lab", "db", "backups"])
    assert done.stdout.splitlines()[0] == "problem:  there is no backup yet: `ha db backup` makes one"


def test_a_pair_with_large_segments_is_said(pair: BackedUp) -> None:
    pair.describes(described(stanza(usual()), wal={"segment_bytes": 16 * 2**20, "runs": []}))
    (line,) = (line for line in said() if line.startswith("segments:"))
    assert line.startswith("segments: 16.0 MiB each")
    pair.describes(described(stanza(usual())))
    assert not any(line.startswith("segments:") for line in said())


def said() -> list[str]:
    return CliRunner().invoke(app, ["--lab", "db", "backups"]).stdout.splitlines()


def test_what_there_is_in_json(pair: BackedUp) -> None:
    done = CliRunner().invoke(app, ["--lab", "db", "backups", "--json"])
    found = json.loads(done.stdout)
    assert [one["label"] for one in found["backups"]] == [one["label"] for one in usual()]
    assert found["ranges"][0]["since"] == "2026-12-01T12:01:00Z"
    assert found["holes"] == []
    assert found["segment_bytes"] == 2**20


def test_a_check_ends_with_1_when_something_is_damaged(pair: BackedUp) -> None:
    pair.prints("ha-backup-verify", "status: ok\n  archiveId: 17-1, total WAL checked: 12, total valid WAL: 12\n")
    done = CliRunner().invoke(app, ["--lab", "db", "verify"])
    assert (done.exit_code, done.stdout.partition(" in ")[0]) == (0, "dev on lab: db1 read 12 files of the repository")
    pair.prints("ha-backup-verify", "  backup: 20261201-120000F, status: invalid, total files checked: 9, total valid")
    done = CliRunner().invoke(app, ["--lab", "db", "verify"])
    assert done.exit_code == EXIT_FAILED
    assert "damaged: backup: 20261201-120000F, status: invalid" in done.stdout
    assert "NOT good" in done.stdout
    done = CliRunner().invoke(app, ["--lab", "db", "verify", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["good"]) == (EXIT_FAILED, False)


KEPT = {"VolumeId": "vol-1", "VolumeSize": 20, "Progress": "100%", "State": "completed"}


class Snapshots:
    """EC2 with two snapshots of the stack."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_snapshots"
        return self

    def paginate(self, **_: object) -> list[dict[str, Any]]:
        named = {"snap-old": (1, "db1"), "snap-new": (2, "db2")}
        found = [
            {
                **KEPT,
                "SnapshotId": one,
                "StartTime": datetime(2026, 12, day, 14, 5, tzinfo=UTC),
                "Tags": [{"Key": "ha:host", "Value": host}, {"Key": "ha:why", "Value": "before a restore"}],
            }
            for one, (day, host) in named.items()
            if one not in self.deleted
        ]
        return [{"Snapshots": found}]

    def delete_snapshot(self, SnapshotId: str) -> None:
        self.deleted.append(SnapshotId)


@pytest.fixture
def kept(pair: BackedUp, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    made = Snapshots()
    monkeypatch.setattr(pair, "client", lambda service: made if service == "ec2" else bucket.api.client(service))
    return made


def test_snapshots_are_listed_newest_first(kept: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 200)
    done = CliRunner().invoke(app, ["--lab", "db", "snapshots"])
    assert done.exit_code == 0, done.stderr
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "snapshot host taken (UTC) volume state why",
        "snap-new db2 2026-12-02 14:05 20 GiB completed before a restore",
        "snap-old db1 2026-12-01 14:05 20 GiB completed before a restore",
        "",
        "dev on lab: 2 snapshots kept",
    ]


def test_snapshots_are_named_and_dropped(kept: Snapshots) -> None:
    done = CliRunner().invoke(app, ["--lab", "db", "snapshots", "--json", "--drop", "snap-old", "snap-new"])
    assert kept.deleted == ["snap-old", "snap-new"]
    assert "dropping snap-old: db1, 20 GiB, 2026-12-01 14:05 UTC, before a restore" in done.stderr
    found = json.loads(done.stdout)
    assert found == {"stack": "dev", "target": "lab", "snapshots": [], "dropped": ["snap-old", "snap-new"]}
    assert CliRunner().invoke(app, ["--lab", "db", "snapshots"]).stdout == "dev on lab: no snapshot kept\n"


@pytest.mark.parametrize("arguments", [["--drop"], ["snap-old"]])
def test_what_to_do_with_which_snapshots_is_said(kept: Snapshots, arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["--lab", "db", "snapshots", *arguments])
    assert isinstance(done.exception, HaError)
    assert done.exception.exit_code == EXIT_USAGE
    assert "--drop SNAPSHOT_ID..." in done.exception.fix
    assert kept.deleted == []


def test_no_snapshot_is_dropped_while_another_operation_runs(kept: Snapshots, bucket: Bucket) -> None:
    with Lease(bucket.s3, bucket.name, "ha db restore"):
        done = CliRunner().invoke(app, ["--lab", "db", "snapshots", "--drop", "snap-old"])
    assert isinstance(done.exception, HaError)
    assert "another operation is under way: 'ha db restore'" in done.exception.what
    assert kept.deleted == []

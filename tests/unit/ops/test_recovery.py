"""Backups of an estate: who is asked, what is refused, what is waited for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops import host_job, recovery
from ops import proof as proofs
from ops.estate import CommandFailed
from ops.lease import Lease, look
from ops.recovery import BACKUP_JOB, VERIFY_JOB, backup, verify
from ops.recovery import described as backups
from spec.errors import HaError
from spec.settings import BackupSettings
from tests.unit.conftest import BUCKET as ARTIFACTS
from tests.unit.conftest import Bucket
from tests.unit.ops.backed_up import MADE, BackedUp
from tests.unit.ops.pair import PRIMARY, STANDBY
from tests.unit.repository import archived, at, described, run, stanza, usual, wal


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_job, "POLL_S", 0.0)


@pytest.fixture
def lease(bucket: Bucket) -> Lease:
    return Lease(bucket.s3, bucket.name, "ha db backup")


@pytest.fixture
def pair(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = BackedUp(tmp_path)
    monkeypatch.setattr(made, "client", bucket.api.client, raising=False)
    return made


def quietly(_: str) -> None:
    pass


def test_the_primary_describes_what_there_is(pair: Any) -> None:
    found = backups(pair, BackupSettings(), ARTIFACTS, quietly)
    assert (found.host, len(found.backups), len(found.ranges)) == ("db1", 2, 1)
    assert found.archived is not None
    pair.facts = {"db1": {**STANDBY}, "db2": {**PRIMARY}}
    assert backups(pair, BackupSettings(), ARTIFACTS, quietly).host == "db2"
    assert pair.asked == ["db1", "db2"]


def test_without_a_primary_a_standby_describes_it(pair: Any) -> None:
    pair.facts["db1"] = None
    found = backups(pair, BackupSettings(), ARTIFACTS, quietly)
    assert (found.host, len(found.backups)) == ("db2", 2)
    assert found.archived is None  # a standby archives nothing
    pair.facts["db2"] = None
    with pytest.raises(HaError, match="no database host answers"):
        backups(pair, BackupSettings(), ARTIFACTS, quietly)


def test_what_was_proven_is_read_from_the_artifact_bucket(pair: Any, bucket: Bucket) -> None:
    proof = proofs.Proof(at=datetime.now(UTC), good=True, backup="20261201-120000F", rpo_s=41, restore_s=60)
    proofs.write(bucket.s3, ARTIFACTS, proof)
    found = backups(pair, BackupSettings(), ARTIFACTS, quietly)
    assert [one.proven for one in found.backups] == [proof.at, None]
    assert found.proof == proof


@pytest.mark.parametrize("damaged", [True, False])
def test_proofs_that_cannot_be_read_are_a_problem_and_hide_nothing(pair: Any, bucket: Bucket, damaged: bool) -> None:
    bucket.put("proofs/2026-12-01T12:00:00Z.json", b"{}")
    found = backups(pair, BackupSettings(), ARTIFACTS if damaged else "another-bucket", quietly)
    assert len(found.backups) == 2
    (problem,) = [one for one in found.problems if "proven" in one]
    what = "this is no proof of a backup: at: Field required" if damaged else "another-bucket does not exist"
    assert problem.startswith("which backups were proven by a restore is not known: ")
    assert what in problem


def test_a_host_that_cannot_describe_it_is_told_in_its_words(pair: Any) -> None:
    pair.prints("ha-backups", "", "noise\n/etc/pgbackrest/pgbackrest.conf is not there yet\n", 1)
    with pytest.raises(HaError, match="the repository cannot be asked: /etc/pgbackrest/"):
        backups(pair, BackupSettings(), ARTIFACTS, quietly)
    pair.prints("ha-backups", "{}")
    with pytest.raises(HaError, match="the description of the backups is damaged"):
        backups(pair, BackupSettings(), ARTIFACTS, quietly)


@pytest.mark.parametrize(("full", "given"), [(True, "full"), (False, "incr")])
def test_a_backup_is_made_on_the_primary(pair: Any, lease: Lease, full: bool, given: str) -> None:
    pair.facts = {"db1": {**STANDBY}, "db2": {**PRIMARY}}
    made = backup(pair, lease, quietly, full=full)
    assert made.model_dump() == {"stack": "dev", "target": "lab", "host": "db2", **MADE}
    assert pair.given("ha-backup") == [given]
    assert set(pair.asked) == {"db2"}


def test_the_first_backup_of_an_empty_repository(pair: Any, lease: Lease) -> None:
    pair.describes(described(stanza(code=1, message="missing stanza path"), wal=None))
    assert backup(pair, lease, quietly, full=False).label == MADE["label"]


def test_it_is_the_one_operation_on_the_estate(pair: Any, bucket: Bucket, lease: Lease) -> None:
    held: list[bool] = []
    backup(pair, lease, lambda _: held.append(look(bucket.s3, bucket.name).held), full=True)
    assert held
    assert all(held)
    assert not look(bucket.s3, bucket.name).held
    with Lease(bucket.s3, bucket.name, "pulumi up"):
        asked = len(pair.asked)
        with pytest.raises(HaError, match="another operation is under way: 'pulumi up'"):
            backup(pair, lease, quietly, full=True)
        assert len(pair.asked) == asked


def test_a_second_backup_is_refused_with_how_far_the_first_one_is(pair: Any, lease: Lease) -> None:
    lock = {"held": True, "size": 2 * 2**30, "size-cplt": 2**30}
    pair.describes(described(stanza(usual(), lock=lock)))
    with pytest.raises(HaError, match=r"a backup is under way already \(50% of 2.0 GiB\): the schedule began it, or"):
        backup(pair, lease, quietly, full=True)
    assert pair.given("ha-backup") == []
    pair.describes(described(stanza(usual())))
    pair.state(BACKUP_JOB, "active")
    with pytest.raises(HaError, match="a backup is under way already: the schedule began it, or an operator"):
        backup(pair, lease, quietly, full=True)
    assert pair.given("ha-backup") == []


@pytest.mark.parametrize("printed", ["", "[]", "[[]]", "nonsense", "[{}]"])
def test_a_repository_that_is_not_understood_gets_no_backup(printed: str, pair: Any, lease: Lease) -> None:
    pair.prints("ha-postgres", printed)
    with pytest.raises(HaError, match="the description of the backups is damaged"):
        backup(pair, lease, quietly, full=True)
    assert pair.given("ha-backup") == []


def test_without_a_primary_no_backup_is_made(pair: Any, lease: Lease) -> None:
    pair.facts["db1"] = {**STANDBY}
    with pytest.raises(HaError, match="there is no primary"):
        backup(pair, lease, quietly, full=True)
    assert pair.asked == []


def test_a_host_that_is_no_longer_primary_made_none(pair: Any, lease: Lease) -> None:
    pair.prints("ha-backup", "", "db1 is not the writable primary\n", 3)
    with pytest.raises(HaError, match="no backup was made: db1 is not the writable primary"):
        backup(pair, lease, quietly, full=True)


def test_a_backup_that_fails_is_told_in_pgbackrests_words(pair: Any, lease: Lease, bucket: Bucket) -> None:
    error = "ERROR: [056]: unable to find primary cluster\x1b[2J - cannot proceed\n"
    pair.prints("ha-backup", "", f"INFO: begin\n{error}   HINT: is it up?\nINFO: aborted with exception [056]\n", 1)
    with pytest.raises(HaError) as failed:
        backup(pair, lease, quietly, full=True)
    assert failed.value.what == "the backup failed: ERROR: [056]: unable to find primary cluster - cannot proceed"
    assert failed.value.where == "db1"
    assert not look(bucket.s3, bucket.name).held


@pytest.mark.parametrize("printed", ["", "null", "[]", "{}", "x", json.dumps({**MADE, "label": "x"}), "[" * 20_000])
def test_a_backup_that_does_not_say_which_it_is(printed: str, pair: Any, lease: Lease) -> None:
    pair.prints("ha-backup", printed)
    with pytest.raises(HaError, match="the backup ended well, but its host did not say which one it is"):
        backup(pair, lease, quietly, full=True)


def test_the_host_cannot_say_that_it_is_another_one(pair: Any, lease: Lease) -> None:
    pair.prints("ha-backup", json.dumps({**MADE, "host": "db9", "stack": "prod"}))
    made = backup(pair, lease, quietly, full=True)
    assert (made.host, made.stack) == ("db1", "dev")


def _held_back(pair: Any) -> None:
    (pair.folder / "states" / "later").touch()


def test_progress_is_said_when_it_changes(pair: Any, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PROGRESS_S", 0.0)
    _held_back(pair)
    said: list[str] = []
    looks: list[int] = []
    real = pair.run

    def run_on(instance_id: str, command: str, *, timeout_s: int = 30) -> Any:
        if " look " in command.splitlines()[0]:
            looks.append(1)
            lock = {"held": True, "size": 1000, "size-cplt": 100 * ((len(looks) + 1) // 2)}
            pair.describes(described(stanza(usual(), lock=lock)))
            if len(looks) == 5:
                folder = pair.folder / "run" / "jobs" / BACKUP_JOB
                (folder / "out").write_text(json.dumps(MADE), encoding="utf-8")
                (folder / "err").touch()
                (folder / "code").write_text("0", encoding="utf-8")
        return real(instance_id, command, timeout_s=timeout_s)

    monkeypatch.setattr(pair, "run", run_on)
    backup(pair, lease, said.append, full=True)
    assert [line for line in said if "%" in line] == ["db1: 10% of 1000 B", "db1: 20% of 1000 B"]


def test_an_operator_who_goes_away_is_told_that_the_backup_goes_on(
    pair: Any, lease: Lease, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(host_job, "wait", interrupted)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        backup(pair, lease, said.append, full=True)
    assert said[-1] == "the backup goes on on db1; `ha db backups` shows it when it is done"
    assert not look(bucket.s3, bucket.name).held


GOOD = """stanza: ha
status: ok
  archiveId: 17-1, total WAL checked: 12, total valid WAL: 12
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261201-120000F, status: valid, total files checked: 1250, total valid files: 1250
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
BAD = """P01   INFO: invalid checksum '/pgbackrest/1/backup/ha/20261201-120000F/bundle/1'
stanza: ha
status: error
  archiveId: 17-1, total WAL checked: 12, total valid WAL: 12
  backup: 20261201-120000F, status: invalid, total files checked: 1250, total valid files: 1249
    checksum invalid: 1
"""


def test_a_good_repository(pair: Any) -> None:
    pair.prints("ha-backup-verify", GOOD)
    done = verify(pair, quietly)
    assert (done.good, done.files, done.damaged, done.holes) == (True, 1262, [], [])


@pytest.mark.parametrize("code", [0, 1])  # pgBackRest itself ends with 0 whatever it finds
def test_a_byte_that_changed_is_found(pair: Any, code: int) -> None:
    pair.prints("ha-backup-verify", BAD, code=code)
    done = verify(pair, quietly)
    assert not done.good
    assert done.damaged == [
        "P01 INFO: invalid checksum '/pgbackrest/1/backup/ha/20261201-120000F/bundle/1'",
        "backup: 20261201-120000F, status: invalid, total files checked: 1250, total valid files: 1249",
    ]


def test_a_status_of_error_is_never_good(pair: Any) -> None:
    pair.prints("ha-backup-verify", "stanza: ha\nstatus: error\n  No usable backup.info file\n")
    done = verify(pair, quietly)
    assert not done.good
    assert "No usable backup.info file" in done.damaged


def test_a_hole_in_the_archive_is_not_good_either(pair: Any) -> None:
    pair.prints("ha-backup-verify", GOOD)
    pair.describes(described(stanza(usual()), wal=archived(run(1, 30, at(7)), run(32, 40, at(8)))))
    done = verify(pair, quietly)
    assert not done.good
    assert [(one.after, one.before) for one in done.holes] == [(wal(30), wal(32))]
    pair.describes(described(stanza(usual()), wal=None))
    assert verify(pair, quietly).damaged == ["the archive could not be listed: whether WAL is missing is not known"]


def test_a_check_that_could_not_be_made_is_no_finding(pair: Any) -> None:
    pair.prints("ha-backup-verify", "", "ERROR: [049]: unable to connect to 's3.us-east-1.amazonaws.com:443'\n", 1)
    with pytest.raises(HaError, match=r"the repository could not be checked: ERROR: \[049\]: unable to connect"):
        verify(pair, quietly)


def test_a_check_that_is_under_way_is_waited_for(pair: Any) -> None:
    pair.prints("ha-backup-verify", GOOD)
    verify(pair, quietly)
    pair.state(VERIFY_JOB, "active")
    said: list[str] = []
    assert verify(pair, said.append).good
    assert "a check is under way already: waiting for its result" in said
    assert len(pair.given("ha-backup-verify")) == 1


def test_a_lost_host_ends_the_wait(pair: Any, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    _held_back(pair)
    monkeypatch.setattr(host_job, "SILENT_S", -1.0)
    real = pair.run

    def run_on(instance_id: str, command: str, *, timeout_s: int = 30) -> Any:
        if " look " in command.splitlines()[0]:
            raise CommandFailed("no answer within 60 s", where=instance_id)
        return real(instance_id, command, timeout_s=timeout_s)

    monkeypatch.setattr(pair, "run", run_on)
    with pytest.raises(CommandFailed, match="the host is silent"):
        backup(pair, lease, quietly, full=True)

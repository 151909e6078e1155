"""A restore beside the running database, its proof, and the way of rows back."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops import host_job, proof, restore_host
from ops.copy_rows import copy_rows
from ops.estate import Instance
from ops.lease import Lease
from ops.prove import prove
from ops.restore import Restored, RestoreFailed, restore
from ops.target import NEWEST, Target, parse
from spec.errors import HaError
from spec.settings import BackupSettings
from spec.tiers import Tier
from tests.unit.conftest import Bucket
from tests.unit.iam import scope
from tests.unit.ops.backed_up import BackedUp
from tests.unit.repository import usual

FULL, INCREMENTAL = (one["label"] for one in usual())
HOST = Instance("i-restore1", "restore1", Tier.RESTORE, "10.20.0.26", None, "us-east-1a", "running")
NOW = datetime(2026, 12, 1, 22, tzinfo=UTC)
ANSWER = {
    "backup": INCREMENTAL,
    "system_identifier": "7312",
    "bytes": 2**30,
    "fetched_s": 20.5,
    "recovered_s": 3.0,
    "recovered_until": "2026-12-01T19:00:00+00:00",
    "lsn": "0/3000148",
    "timeline": 2,
    "canary": "2026-12-01T18:59:30+00:00",
}
GOOD = {"good": True, "errors": [], "relations": 832, "took_s": 0.4, "canary": ANSWER["canary"]}
# Says that this backup is damaged, once.
DAMAGED = f"""#!/bin/bash
echo "$*" >>FOLDER/ha-restore.given
if [[ $* == *{INCREMENTAL}* ]]; then echo 'ChecksumError: invalid checksum in pg_data/base/5/1259' >&2; exit 1; fi
echo '{json.dumps(ANSWER)}'
"""


class Ec2:
    def __init__(self, hosts: list[Instance]) -> None:
        self.hosts, self.ended, self.refusal = hosts, list[str](), ""

    def run_instances(self, **given: Any) -> Any:
        assert given["LaunchTemplate"] == {"LaunchTemplateName": "ha-dev-restore", "Version": "$Default"}
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": "no"}}, "RunInstances")
        self.hosts.append(HOST)
        return {"Instances": [{"InstanceId": HOST.instance_id}]}

    def terminate_instances(self, InstanceIds: list[str]) -> None:
        self.ended += InstanceIds
        self.hosts.clear()


class Site(BackedUp):
    def __init__(self, folder: Path, bucket: Bucket) -> None:
        super().__init__(folder)
        self.bucket, self.hosts = bucket, list[Instance]()
        self.ec2 = Ec2(self.hosts)
        self.setup = {"state": "ready"}
        self.prints("ha-archive-now", "000000010000000000000028\n")
        self.prints("ha-restore", json.dumps(ANSWER))
        self.prints("ha-restored-check", json.dumps(GOOD))

    def client(self, service: str) -> Any:
        return self.ec2 if service == "ec2" else self.bucket.s3

    def on_demand(self) -> list[Instance]:
        return list(self.hosts)

    def report(self, instance_id: str, *, timeout_s: int = 30) -> dict[str, Any]:
        if instance_id == HOST.instance_id:
            return {"setup": self.setup, "facts": {"ends": "2026-12-02T20:00:00Z"}}
        return super().report(instance_id, timeout_s=timeout_s)


@pytest.fixture
def site(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(host_job, "POLL_S", 0.0)
    monkeypatch.setattr(restore_host, "_POLL_S", 0.0)
    return Site(tmp_path, bucket)


@pytest.fixture
def lease(bucket: Bucket) -> Lease:
    return Lease(bucket.s3, bucket.name, "ha db restore")


def quietly(_: str) -> None:
    pass


def restored(site: Any, lease: Lease, to: str = "2026-12-01 19:00 UTC", **more: Any) -> Restored:
    settings = BackupSettings()
    target = parse(to, now=NOW)
    own = scope("dev")
    return restore(site, own, settings, lease, target, quietly, **more)


def asked(site: Any) -> dict[str, Any]:
    """What the host was told last."""
    found: dict[str, Any] = json.loads(site.given("ha-restore")[-1])
    return found


def test_the_host_is_told_backup_and_target_and_stays(site: Any, lease: Lease) -> None:
    made = restored(site, lease)
    assert asked(site)["backup"] == INCREMENTAL
    assert asked(site)["target"] == {"type": "time", "value": "2026-12-01 19:00:00.000000+00", "exclusive": False}
    assert (made.host, made.backup, made.skipped) == ("restore1", INCREMENTAL, [])
    assert made.ends == datetime(2026, 12, 2, 20, tzinfo=UTC)
    assert site.ec2.ended == []


def test_what_is_not_archived_yet_is_archived_first(site: Any, lease: Lease) -> None:
    restored(site, lease, "2026-12-01 17:00 UTC")
    assert site.given("ha-archive-now") == []
    site.hosts.clear()
    restored(site, lease, NEWEST, fresh=False)
    assert site.given("ha-archive-now") == []
    site.hosts.clear()
    restored(site, lease, NEWEST)
    assert len(site.given("ha-archive-now")) == 1


def test_a_second_restore_is_refused_and_the_first_one_stays(site: Any, lease: Lease) -> None:
    site.hosts.append(HOST)
    with pytest.raises(HaError, match=r"restore1 .* is running already, for another restore"):
        restored(site, lease)
    assert site.ec2.ended == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("InvalidIPAddress.InUse", "another restore began at the same moment"),
        ("InvalidLaunchTemplateName.NotFoundException", "there is no launch template ha-dev-restore"),
        ("UnauthorizedOperation", "no host could be launched"),
    ],
)
def test_what_ec2_refuses_is_explained(site: Any, lease: Lease, code: str, said: str) -> None:
    site.ec2.refusal = code
    with pytest.raises(HaError, match=said):
        restored(site, lease)


def test_it_is_refused_while_another_operation_runs(site: Any, lease: Lease, bucket: Bucket) -> None:
    with (
        Lease(bucket.s3, bucket.name, "pulumi up"),
        pytest.raises(HaError, match="another operation is under way: 'pulumi up'"),
    ):
        restored(site, lease)
    assert site.hosts == []


def test_the_backup_before_a_damaged_one_is_used_and_it_is_said(site: Any, lease: Lease) -> None:
    site.program("ha-restore", DAMAGED.replace("FOLDER", shlex.quote(str(site.folder))))
    made = restored(site, lease)
    assert asked(site)["backup"] == made.backup == FULL
    assert made.skipped == [f"{INCREMENTAL}: ChecksumError: invalid checksum in pg_data/base/5/1259"]


@pytest.mark.parametrize(
    ("code", "fix"), [(4, "from when to when one can go back"), (5, "database.volume_gib"), (1, "ha db verify")]
)
def test_a_host_that_failed_is_ended(site: Any, lease: Lease, code: int, fix: str) -> None:
    site.prints("ha-restore", "", "fetching\nthe archive ends at 18:00\n", code)
    with pytest.raises(RestoreFailed, match="the archive ends at 18:00") as failed:
        restored(site, lease)
    assert fix in failed.value.fix
    assert failed.value.backup == INCREMENTAL
    assert site.ec2.ended == [HOST.instance_id]


def test_a_host_whose_set_up_fails_is_ended(site: Any, lease: Lease) -> None:
    site.setup = {"state": "failed", "step": "20-data-volume", "error": "no data volume"}
    with pytest.raises(HaError, match="the set-up failed at 20-data-volume: no data volume"):
        restored(site, lease)
    assert site.ec2.ended == [HOST.instance_id]


def test_a_proof_is_written_and_its_host_ended(site: Any, lease: Lease, bucket: Bucket) -> None:
    own = scope("dev")
    bucket.s3.create_bucket(Bucket=own.artifact_bucket)
    found = prove(site, own, BackupSettings(), lease, quietly)
    assert (found.good, found.backup, found.bytes) == (True, INCREMENTAL, 2**30)
    assert proof.newest(bucket.s3, own.artifact_bucket) == found
    assert site.ec2.ended == [HOST.instance_id]


@pytest.mark.parametrize(
    ("program", "out", "code", "why"),
    [
        ("ha-restored-check", {**GOOD, "good": False, "errors": ["index events_pkey is damaged"]}, 0, "events_pkey"),
        ("ha-restore", {**ANSWER, "canary": None}, 0, "none of the rows that the estate writes"),
        ("ha-restore", {}, 4, "the restore failed"),
    ],
)
def test_a_bad_proof_is_written_too(
    site: Any, lease: Lease, bucket: Bucket, program: str, out: Any, code: int, why: str
) -> None:
    own = scope("dev")
    bucket.s3.create_bucket(Bucket=own.artifact_bucket)
    site.prints(program, json.dumps(out), "recovering\n", code)
    found = prove(site, own, BackupSettings(), lease, quietly)
    assert not found.good
    assert why in found.why
    assert proof.newest(bucket.s3, own.artifact_bucket) == found
    assert site.hosts == []


def test_nothing_is_proven_by_what_was_not_tried(site: Any, lease: Lease, bucket: Bucket) -> None:
    own = scope("dev")
    bucket.s3.create_bucket(Bucket=own.artifact_bucket)
    site.hosts.append(HOST)
    with pytest.raises(HaError, match="for another restore"):
        prove(site, own, BackupSettings(), lease, quietly)
    assert proof.newest(bucket.s3, own.artifact_bucket) is None


def test_rows_are_read_there_and_added_here_in_one_transaction(site: Any) -> None:
    site.hosts.append(HOST)
    # The same program is psql of both hosts here: it prints rows for a COPY, else what it did with its input.
    site.program(
        "base-psql",
        f'#!/bin/bash\ncase "$*" in *"copy (select"*) printf "1\\ta\\n2\\tb\\n" ;; '
        f'*) cat >{shlex.quote(str(site.folder))}/script; echo "$*" >{shlex.quote(str(site.folder))}/options; '
        'echo "CREATE TABLE"; echo "INSERT 0 1" ;; esac\n',
    )
    run = site.run
    site.run = lambda instance, command, timeout_s=30: run(
        instance, command.replace("/usr/local/sbin/ha-postgres", "base-psql").replace("-o postgres", "")
    )
    done = copy_rows(site, "eventmanager", "events", "id < 3", quietly)
    assert (done.found, done.added, done.primary, done.restored_on) == (2, 1, "db1", "restore1")
    script = (site.folder / "script").read_text(encoding="utf-8")
    assert "insert into events overriding system value select * from restored on conflict do nothing;" in script
    assert "--single-transaction" in (site.folder / "options").read_text(encoding="utf-8")
    assert not list((site.folder / "run").glob("rows.*"))


def test_rows_of_what_is_no_table_or_without_a_restore_are_refused(site: Any) -> None:
    with pytest.raises(HaError, match="no host holds a restored database"):
        copy_rows(site, "eventmanager", "events", "true", quietly)
    with pytest.raises(HaError, match="is no name of a table"):
        copy_rows(site, "eventmanager", "events; drop table events", "true", quietly)


def test_the_target_of_a_transaction_has_the_time_before_it(site: Any, lease: Lease) -> None:
    site.prints("ha-postgres", "2026-12-01 17:00:00+00\n")
    run = site.run
    site.run = lambda instance, command, timeout_s=30: run(
        instance, command.replace("/usr/local/sbin/ha-postgres", "ha-postgres")
    )
    restored(site, lease, "before-transaction:7421")
    assert asked(site)["backup"] == FULL
    assert asked(site)["target"] == {"type": "xid", "value": "7421", "exclusive": True}
    assert Target("xid", "7421").exclusive

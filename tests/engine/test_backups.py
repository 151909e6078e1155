"""The backup buckets on the real engine: they stay when a protected stack goes, and the next one adopts them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.aws.service import AwsService
from spec.errors import HaError
from tests.engine.conftest import Project, make_project

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi

from components.backups import Backups, BackupsArgs
from components.clean_exit import exit_without_traceback
from ops.engine import existing_backup_buckets
from spec.scope import Scope

settings = pulumi.Config("ha").require_object("settings")
scope = Scope(
    partition="aws",
    account="123456789012",
    region="us-east-1",
    project="ha",
    stack="dev",
    artifact_bucket="any",
    backup_copy_region=settings.get("copy_region"),
)
with exit_without_traceback():
    existing = existing_backup_buckets(scope)
args = BackupsArgs(scope=scope, lock_days=23, protect=settings.get("protect", True), existing=existing)
Backups("backups", args)
"""
OWN, COPY = "ha-dev-backups-123456789012-us-east-1", "ha-dev-backups-123456789012-us-west-2"


def default_lock(s3: Any, bucket: str) -> object:
    found = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    return found.get("Rule", {}).get("DefaultRetention", {}).get("Days")


def made_again(project: Project, tmp_path: Path, api: AwsService) -> Project:
    """The same project with a new state, as when the stack is made again."""
    made = make_project(tmp_path / "again", tmp_path / "state-again", api)
    for name in ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(project.directory / name, made.directory)
    return made


def test_buckets_stay_and_a_stack_that_is_made_again_adopts_them(
    project: Project, tmp_path: Path, api: AwsService
) -> None:
    s3 = api.client("s3")
    project.write(PROGRAM)
    project.change(lambda settings: settings.update(copy_region="us-west-2"))
    project.up()
    assert not project.preview()  # what is in the stack is not imported again
    assert [default_lock(s3, bucket) for bucket in (OWN, COPY)] == [23, 23]
    (rule,) = s3.get_bucket_replication(Bucket=OWN)["ReplicationConfiguration"]["Rules"]
    assert rule["Destination"]["Bucket"] == f"arn:aws:s3:::{COPY}"
    assert s3.get_bucket_location(Bucket=COPY)["LocationConstraint"] == "us-west-2"
    s3.put_object(Bucket=OWN, Key="pgbackrest/1/backup.info", Body=b"kept")
    with pytest.raises(HaError, match="protect"):
        project.destroy()

    again = made_again(project, tmp_path, api)
    again.up()
    assert sorted(again.done("import")) == [("import", "backups-bucket"), ("import", "backups-copy-bucket")]
    assert not again.preview()
    assert s3.get_object(Bucket=OWN, Key="pgbackrest/1/backup.info")["Body"].read() == b"kept"

    again.change(lambda settings: settings.update(protect=False))
    again.up()
    assert [default_lock(s3, bucket) for bucket in (OWN, COPY)] == [None, None]
    again.destroy()
    assert not {OWN, COPY} & {one["Name"] for one in s3.list_buckets()["Buckets"]}


def test_a_bucket_of_another_stack_is_not_adopted(project: Project, api: AwsService) -> None:
    s3 = api.client("s3")
    s3.create_bucket(Bucket=OWN)
    s3.put_bucket_tagging(Bucket=OWN, Tagging={"TagSet": [{"Key": "ha:stack", "Value": "prod"}]})
    project.write(PROGRAM)
    with pytest.raises(HaError):
        project.up()
    assert "does not say that it is of the stack 'dev'" in project.said()
    s3.delete_bucket(Bucket=OWN)

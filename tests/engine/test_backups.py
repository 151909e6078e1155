"""The backup buckets on the real engine: they stay when a protected stack goes, and the next one adopts them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.aws.service import AwsService
from spec.changes import IN_FORCE_KEY
from spec.errors import HaError
from tests.engine.conftest import Project, make_project

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi

from components.backups import Backups, BackupsArgs
from components.clean_exit import exit_without_traceback
from ops.engine import found_backup_buckets
from spec.scope import Scope

settings = pulumi.Config("ha").require_object("settings")
scope = Scope(
    partition="aws",
    account="123456789012",
    region=pulumi.Config("aws").require("region"),
    project="ha",
    stack="dev",
    artifact_bucket="ha-dev-artifacts",
    backup_copy_region=settings.get("copy_region"),
)
with exit_without_traceback():
    found = found_backup_buckets(scope)
topic = "arn:aws:sns:us-east-1:123456789012:ha-dev-alerts"
args = BackupsArgs(
    scope=scope, lock_days=23, protect=settings.get("protect", True), found=found, alert_topic_arn=topic
)
pulumi.export("backup_bucket", Backups("backups", args).bucket_name)
"""
ARTIFACTS = "ha-dev-artifacts"
EAST, WEST, EUROPE = "us-east-1", "us-west-2", "eu-west-1"
OWN, COPY, OTHER_COPY = (f"ha-dev-backups-123456789012-{region}" for region in (EAST, WEST, EUROPE))
OBJECT = "pgbackrest/1/backup.info"


@pytest.fixture
def s3(api: AwsService) -> Iterator[Any]:
    s3 = api.client("s3")
    yield s3
    made = {one["Name"] for one in s3.list_buckets()["Buckets"]}
    for bucket in made & {OWN, COPY, OTHER_COPY, ARTIFACTS}:  # those that outlived a test's stacks
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                s3.delete_object(
                    Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], BypassGovernanceRetention=True
                )
        s3.delete_bucket(Bucket=bucket)


def buckets(s3: Any) -> set[str]:
    return {one["Name"] for one in s3.list_buckets()["Buckets"]} & {OWN, COPY, OTHER_COPY}


def complete(s3: Any, **backups: str) -> None:
    """As the last resource of the estate's program does, which this small one has not."""
    s3.create_bucket(Bucket=ARTIFACTS)
    s3.put_object(Bucket=ARTIFACTS, Key=IN_FORCE_KEY, Body=json.dumps({"settings": {"backups": backups}}))


def default_lock(s3: Any, bucket: str) -> object:
    """Days; None: there is Object Lock, but no default. :raises ClientError: there is no Object Lock."""
    found = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    return found.get("Rule", {}).get("DefaultRetention", {}).get("Days")


def copies(s3: Any, bucket: str) -> list[tuple[str, str]]:
    """Where a bucket is copied to, and whether that is measured."""
    rules = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"]
    return [(one["Destination"]["Bucket"], one["Destination"]["Metrics"]["Status"]) for one in rules]


def tags(s3: Any, bucket: str) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}


def put_tags(s3: Any, bucket: str, given: dict[str, str]) -> None:
    tag_set = [{"Key": key, "Value": value} for key, value in given.items()]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set})


def is_kept(s3: Any, bucket: str) -> bool:
    return bool(s3.get_object(Bucket=bucket, Key=OBJECT)["Body"].read() == b"kept")


def made_again(project: Project, tmp_path: Path, api: AwsService, region: str = EAST, **settings: Any) -> Project:
    """The same project with a new state, as when the stack is made again."""
    made = make_project(tmp_path / f"again-{region}", tmp_path / f"state-{region}", api)
    for name in ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(project.directory / name, made.directory)
    document = yaml.safe_load(made.stack_file.read_text(encoding="utf-8"))
    document["config"]["aws:region"] = region
    document["config"]["ha:settings"] |= settings
    made.stack_file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return made


def up(project: Project, **settings: Any) -> None:
    project.change(lambda given: given.update(settings))
    project.up()


@pytest.fixture
def protected(project: Project, s3: Any) -> Project:
    """A protected stack with a copy of its backups, and a backup."""
    project.write(PROGRAM)
    up(project, copy_region=WEST)
    s3.put_object(Bucket=OWN, Key=OBJECT, Body=b"kept")
    return project


def test_a_protected_stack_locks_both_buckets_before_it_copies(protected: Project, s3: Any) -> None:
    created = [name for op, name in protected.done("create")]
    in_order = ["backups-copy-versioned", "backups-copy-locked", "backups-locked", "backups-replicated"]
    assert [name for name in created if name in in_order] == in_order
    assert [default_lock(s3, bucket) for bucket in (OWN, COPY)] == [23, 23]
    assert copies(s3, OWN) == [(f"arn:aws:s3:::{COPY}", "Enabled")]
    assert s3.get_bucket_location(Bucket=COPY)["LocationConstraint"] == WEST
    assert not protected.preview()  # what is in the stack is not imported again
    with pytest.raises(HaError, match="protect"):
        protected.destroy()


def test_a_stack_that_is_made_again_adopts_the_buckets_with_whatever_tags(
    protected: Project, s3: Any, tmp_path: Path, api: AwsService
) -> None:
    program_tags = tags(s3, OWN)
    put_tags(s3, OWN, {**program_tags, "cost-center": "17"})
    again = made_again(protected, tmp_path, api)
    again.up()
    assert sorted(again.done("import")) == [("import", "backups-bucket"), ("import", "backups-copy-bucket")]
    assert is_kept(s3, OWN)
    assert "cost-center" in tags(s3, OWN)
    complete(s3, copy_region=WEST)
    again.up()
    assert tags(s3, OWN) == program_tags
    assert not again.preview()


def test_without_protection_a_destroy_passes_by_buckets_that_were_locked(protected: Project, s3: Any) -> None:
    up(protected, protect=False)
    assert f"Object Lock is on in {OWN}, {COPY}" in protected.said()
    assert [default_lock(s3, bucket) for bucket in (OWN, COPY)] == [None, None]
    protected.destroy()
    assert is_kept(s3, OWN)
    assert buckets(s3) == {OWN, COPY}


def test_an_unprotected_stack_adopts_what_a_protected_one_left(
    protected: Project, s3: Any, tmp_path: Path, api: AwsService
) -> None:
    again = made_again(protected, tmp_path, api, protect=False)
    again.up()
    assert len(again.done("import")) == 2
    assert not again.preview()
    again.destroy()
    assert is_kept(s3, OWN)


def test_a_stack_in_the_region_of_the_copy_takes_it_as_its_own_bucket(
    protected: Project, s3: Any, tmp_path: Path, api: AwsService
) -> None:
    s3.put_object(Bucket=COPY, Key=OBJECT, Body=b"kept")
    there = made_again(protected, tmp_path, api, WEST, copy_region=EAST)
    there.up()
    assert tags(s3, COPY)["Name"] == "dev-backups-copy"  # until the next update
    complete(s3, copy_region=EAST)
    there.up()
    assert (tags(s3, COPY)["Name"], tags(s3, OWN)["Name"]) == ("dev-backups", "dev-backups-copy")
    assert copies(s3, COPY) == [(f"arn:aws:s3:::{OWN}", "Enabled")]
    assert is_kept(s3, COPY)
    assert not there.preview()


def test_the_copy_moves_once_the_protection_is_off_and_the_old_one_stays(protected: Project, s3: Any) -> None:
    up(protected, protect=False)
    up(protected, copy_region=EUROPE)
    up(protected, protect=True)
    assert buckets(s3) == {OWN, COPY, OTHER_COPY}
    assert [default_lock(s3, bucket) for bucket in (OWN, OTHER_COPY)] == [23, 23]
    assert copies(s3, OWN) == [(f"arn:aws:s3:::{OTHER_COPY}", "Enabled")]
    up(protected, protect=False)
    up(protected, copy_region=None)
    with pytest.raises(s3.exceptions.ClientError, match="ReplicationConfigurationNotFound"):
        copies(s3, OWN)


def test_without_protection_buckets_are_not_locked_and_go_with_the_stack(project: Project, s3: Any) -> None:
    project.write(PROGRAM)
    up(project, copy_region=WEST, protect=False)
    for bucket in (OWN, COPY):
        with pytest.raises(s3.exceptions.ClientError, match="ObjectLockConfigurationNotFound"):
            default_lock(s3, bucket)
    s3.put_object(Bucket=OWN, Key=OBJECT, Body=b"goes")
    project.destroy()
    assert not buckets(s3)


def test_a_bucket_that_was_deleted_by_hand_is_missed_at_preview(project: Project, s3: Any) -> None:
    project.write(PROGRAM)
    project.up()
    complete(s3)
    assert not project.preview()
    s3.delete_bucket(Bucket=OWN)
    with pytest.raises(HaError, match=f"{OWN} is the stack's, but it does not exist"):
        project.preview()


def test_a_bucket_of_another_stack_is_not_adopted(project: Project, s3: Any) -> None:
    s3.create_bucket(Bucket=OWN)
    put_tags(s3, OWN, {"ha:stack": "prod"})
    project.write(PROGRAM)
    with pytest.raises(HaError):
        project.preview()
    with pytest.raises(HaError):
        project.up()
    assert "does not say that it is of the stack 'dev'" in project.said()

"""Buckets whose rules name another bucket, through the whole API, with the policies of the program."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.policies import assumed_by, bucket_policy, replication_policy
from lab.aws import moto_internals
from lab.aws.gate import Roles
from lab.aws.moto_internals import replication
from lab.aws.moto_internals.replication import Version
from lab.aws.replication import Replication, destinations
from lab.aws.service import AwsService, client
from lab.aws.simulator import IamSimulator
from lab.waiting import eventually
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from tests.unit.lab.aws.conftest import REGION

SCOPE = Scope(
    partition="aws",
    account=EXAMPLE_ACCOUNT_ID,
    region=REGION,
    project="ha",
    stack="prod",
    artifact_bucket="artifacts",
    backup_copy_region="us-west-2",
)
SOURCE, COPY = SCOPE.backup_bucket, str(SCOPE.backup_copy_bucket)
ROLE = f"arn:aws:iam::{EXAMPLE_ACCOUNT_ID}:role/copies"
LOCK: Any = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 23}}}
SOON_S = 120


def rule(destination: str = COPY, **more: Any) -> dict[str, Any]:
    return {
        "ID": f"to-{destination}-{more.get('Priority', 1)}",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{destination}"},
        **more,
    }


@dataclass
class Buckets:
    """The operator's view of both buckets, and what copies between them. Copies wait until `arrived`."""

    s3: Any
    iam: Any
    copies: Replication
    policy: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(replication_policy(SCOPE, COPY))))

    def copy(self, *rules: dict[str, Any]) -> None:
        self.s3.put_bucket_replication(
            Bucket=SOURCE, ReplicationConfiguration={"Role": ROLE, "Rules": list(rules or [rule()])}
        )

    def put(self, key: str, body: bytes = b"x", **more: Any) -> str:
        return str(self.s3.put_object(Bucket=SOURCE, Key=key, Body=body, **more)["VersionId"])

    def status(self, key: str, bucket: str = SOURCE) -> str | None:
        found: str | None = self.s3.head_object(Bucket=bucket, Key=key).get("ReplicationStatus")
        return found

    def arrive(self) -> None:
        """Let all that waits be copied, and wait until the last of it is."""
        self.copies.delay(0)
        eventually("nothing waits to be copied", lambda: self.copies.idle, deadline_s=SOON_S, every_s=0.01)
        self.copies.delay(math.inf)

    def keys(self, bucket: str = COPY) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())]

    def versions(self, bucket: str) -> list[tuple[str, str, bool]]:
        """Key, version id, and whether it is the latest: of objects, then of delete markers."""
        found = self.s3.list_object_versions(Bucket=bucket)
        listed = [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
        return [(one["Key"], one["VersionId"], one["IsLatest"]) for one in listed]

    def allow(self) -> None:
        self.iam.put_role_policy(RoleName="copies", PolicyName="copies", PolicyDocument=json.dumps(self.policy))

    def deny(self, action: str, **more: Any) -> None:
        """Take an action from the role."""
        self.policy["Statement"].append({"Effect": "Deny", "Action": action, "Resource": "*", **more})
        self.allow()


@pytest.fixture
def buckets(served: AwsService, simulator: IamSimulator) -> Iterator[Buckets]:
    moto_internals.reset()
    s3, iam = served.client("s3"), served.client("iam")
    there = client("s3", served.url, "us-west-2")
    s3.create_bucket(Bucket=SOURCE)
    there.create_bucket(Bucket=COPY, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    for bucket in (SOURCE, COPY):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(bucket_policy(f"arn:aws:s3:::{bucket}")))
    iam.create_role(RoleName="copies", AssumeRolePolicyDocument=json.dumps(assumed_by("s3")))
    copies = Replication(simulator=simulator, roles=Roles(served.client), client=served.client)
    copies.delay(math.inf)
    buckets = Buckets(s3, iam, copies)
    buckets.allow()
    with copies.running():
        yield buckets


def test_what_is_written_arrives_late_with_all_that_belongs_to_it(buckets: Buckets) -> None:
    buckets.copy()
    version = buckets.put("base/1", b"bytes", Metadata={"of": "backup"}, Tagging="kind=full", ContentType="text/plain")
    assert buckets.status("base/1") == "PENDING"
    assert not buckets.keys()
    buckets.arrive()
    copied = buckets.s3.get_object(Bucket=COPY, Key="base/1", VersionId=version)
    assert copied["Body"].read() == b"bytes"
    assert (copied["Metadata"], copied["ContentType"]) == ({"of": "backup"}, "text/plain")
    assert copied["LastModified"] == buckets.s3.head_object(Bucket=SOURCE, Key="base/1")["LastModified"]
    assert buckets.s3.get_object_tagging(Bucket=COPY, Key="base/1")["TagSet"] == [{"Key": "kind", "Value": "full"}]
    assert (buckets.status("base/1"), buckets.status("base/1", COPY)) == ("COMPLETED", "REPLICA")
    assert buckets.versions(COPY) == [("base/1", version, True)]


def test_uploads_in_parts_and_copies_arrive_too_in_the_order_of_their_versions(buckets: Buckets) -> None:
    buckets.copy()
    s3 = buckets.s3
    first = buckets.put("a", b"one")
    upload = s3.create_multipart_upload(Bucket=SOURCE, Key="a", Metadata={"in": "parts"})["UploadId"]
    part = s3.upload_part(Bucket=SOURCE, Key="a", UploadId=upload, PartNumber=1, Body=b"two")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    s3.complete_multipart_upload(Bucket=SOURCE, Key="a", UploadId=upload, MultipartUpload=parts)
    second = s3.head_object(Bucket=SOURCE, Key="a")["VersionId"]
    s3.copy_object(Bucket=SOURCE, Key="b", CopySource={"Bucket": SOURCE, "Key": "a", "VersionId": first})
    buckets.arrive()
    assert buckets.versions(COPY) == buckets.versions(SOURCE)
    newest = s3.get_object(Bucket=COPY, Key="a")
    assert (newest["VersionId"], newest["Body"].read(), newest["Metadata"]) == (second, b"two", {"in": "parts"})
    assert s3.get_object(Bucket=COPY, Key="a", VersionId=first)["Body"].read() == b"one"
    assert s3.get_object(Bucket=COPY, Key="b")["Body"].read() == b"one"


def test_a_delete_marker_arrives_and_the_deletion_of_a_version_does_not(buckets: Buckets) -> None:
    buckets.copy()
    destroyed = buckets.put("destroyed")
    marked = buckets.put("marked")
    buckets.arrive()
    buckets.s3.delete_object(Bucket=SOURCE, Key="destroyed", VersionId=destroyed)
    marker = buckets.s3.delete_objects(Bucket=SOURCE, Delete={"Objects": [{"Key": "marked"}]})
    assert buckets.keys() == ["destroyed", "marked"]
    buckets.arrive()
    assert buckets.keys() == ["destroyed"]
    assert [key for key, _, _ in buckets.versions(COPY)] == ["destroyed", "marked", "marked"]
    assert ("marked", marked, False) in buckets.versions(COPY)
    assert ("marked", marker["Deleted"][0]["DeleteMarkerVersionId"], True) in buckets.versions(COPY)


def test_without_delete_markers_in_the_rule_a_delete_stays_where_it_was_made(buckets: Buckets) -> None:
    buckets.copy(rule(DeleteMarkerReplication={"Status": "Disabled"}))
    buckets.put("kept")
    buckets.s3.delete_object(Bucket=SOURCE, Key="kept")
    buckets.arrive()
    assert (buckets.keys(SOURCE), buckets.keys()) == ([], ["kept"])


def test_only_what_is_written_under_an_enabled_rule_is_copied(buckets: Buckets) -> None:
    buckets.put("wal/before")
    buckets.copy(rule(Filter={"Prefix": "wal/"}))
    buckets.put("wal/during")
    buckets.put("other/during")
    buckets.copy(rule(Status="Disabled"))
    buckets.put("wal/disabled")
    buckets.s3.delete_bucket_replication(Bucket=SOURCE)
    buckets.put("wal/after")
    buckets.arrive()
    assert buckets.keys() == ["wal/during"]
    assert [buckets.status(key) for key in ("wal/before", "other/during", "wal/after")] == [None] * 3


def test_what_is_deleted_before_its_copy_is_not_copied(buckets: Buckets) -> None:
    buckets.copy()
    gone = buckets.put("gone")
    buckets.s3.delete_object(Bucket=SOURCE, Key="gone", VersionId=gone)
    buckets.put("kept")
    buckets.arrive()
    assert buckets.keys() == ["kept"]


def test_a_copy_is_not_copied_again(buckets: Buckets) -> None:
    buckets.copy()
    back = {"Role": ROLE, "Rules": [rule(SOURCE)]}
    buckets.s3.put_bucket_replication(Bucket=COPY, ReplicationConfiguration=back)
    buckets.put("a")
    buckets.arrive()
    buckets.arrive()
    assert len(buckets.versions(SOURCE)) == len(buckets.versions(COPY)) == 1


def test_a_copy_has_the_lock_of_its_original_else_the_default_of_its_bucket(buckets: Buckets) -> None:
    s3 = buckets.s3
    buckets.copy()
    s3.put_object_lock_configuration(
        Bucket=COPY, ObjectLockConfiguration={**LOCK, "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 99}}}
    )
    buckets.put("unlocked")
    s3.put_object_lock_configuration(Bucket=SOURCE, ObjectLockConfiguration=LOCK)
    version = buckets.put("locked")
    buckets.arrive()
    until = {
        (bucket, key): s3.head_object(Bucket=bucket, Key=key).get("ObjectLockRetainUntilDate")
        for bucket in (SOURCE, COPY)
        for key in ("unlocked", "locked")
    }
    assert until[COPY, "locked"] == until[SOURCE, "locked"] is not None
    assert until[SOURCE, "unlocked"] is None
    assert until[COPY, "unlocked"] > until[COPY, "locked"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=COPY, Key="locked", VersionId=version)


def test_a_bucket_that_cannot_take_a_copy_fails_it(buckets: Buckets) -> None:
    buckets.copy(rule("nowhere"))
    buckets.put("nowhere")
    buckets.copy()
    buckets.s3.put_object_lock_configuration(Bucket=SOURCE, ObjectLockConfiguration=LOCK)
    buckets.put("locked")
    buckets.s3.put_bucket_versioning(Bucket=COPY, VersioningConfiguration={"Status": "Suspended"})
    buckets.arrive()
    assert (buckets.status("nowhere"), buckets.status("locked"), buckets.keys()) == ("FAILED", "FAILED", [])


@pytest.mark.parametrize(
    "action",
    [
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectRetention",
        "s3:GetObjectLegalHold",
        "s3:ReplicateObject",
    ],
)
def test_a_role_that_lacks_a_permission_fails_the_copy(buckets: Buckets, action: str) -> None:
    for bucket in (SOURCE, COPY):
        buckets.s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=LOCK)
    buckets.copy()
    buckets.deny(action)
    buckets.put("a")
    buckets.arrive()
    assert (buckets.status("a"), buckets.keys()) == ("FAILED", [])


def test_without_the_permission_for_tags_an_object_is_copied_and_its_tags_are_not(buckets: Buckets) -> None:
    buckets.copy()
    buckets.deny("s3:ReplicateTags")
    buckets.put("a", Tagging="kind=full")
    buckets.arrive()
    assert (buckets.status("a"), buckets.status("a", COPY)) == ("COMPLETED", "REPLICA")
    assert buckets.s3.get_object_tagging(Bucket=COPY, Key="a")["TagSet"] == []


def test_without_the_permission_to_delete_a_marker_is_not_copied(buckets: Buckets) -> None:
    buckets.copy()
    buckets.deny("s3:ReplicateDelete")
    buckets.put("a")
    buckets.s3.delete_object(Bucket=SOURCE, Key="a")
    buckets.arrive()
    assert buckets.keys() == ["a"]


def test_a_role_that_s3_may_not_assume_copies_nothing(buckets: Buckets) -> None:
    buckets.copy()
    buckets.iam.update_assume_role_policy(RoleName="copies", PolicyDocument=json.dumps(assumed_by("ec2")))
    buckets.put("a")
    buckets.arrive()
    assert (buckets.status("a"), buckets.keys()) == ("FAILED", [])


def test_the_policy_of_the_other_bucket_applies_too(buckets: Buckets) -> None:
    buckets.copy()
    refused = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{COPY}/no/*"}
    policy = {"Version": "2012-10-17", "Statement": [refused]}
    buckets.s3.put_bucket_policy(Bucket=COPY, Policy=json.dumps(policy))
    for key in ("no/a", "yes/a"):
        buckets.put(key)
    buckets.arrive()
    assert (buckets.status("no/a"), buckets.keys()) == ("FAILED", ["yes/a"])


def test_an_object_is_copied_after_the_delay_and_not_before(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, float] = {}

    def noted(name: str, call: Callable[..., Any], *given: Any) -> Any:
        called.setdefault(name, time.monotonic())
        return call(*given)

    for name in ("set_status", "traits_of"):
        monkeypatch.setattr(replication, name, partial(noted, name, getattr(replication, name)))
    buckets.copy()
    buckets.copies.delay(0.5)
    buckets.put("a")
    eventually("the copy", buckets.keys, deadline_s=SOON_S, every_s=0.01)
    assert called["traits_of"] - called["set_status"] >= 0.5


def test_of_rules_for_one_bucket_that_of_the_highest_priority_counts() -> None:
    rules = [
        rule("one", Priority="10", Filter={"Prefix": "wal/"}, DeleteMarkerReplication={"Status": "Disabled"}),
        rule("one", Priority="9"),
        rule("two", Priority="1"),
    ]
    one, two = "arn:aws:s3:::one", "arn:aws:s3:::two"
    assert set(destinations(rules, Version("box", "wal/1", "v", marker=False))) == {one, two}
    assert set(destinations(rules, Version("box", "wal/1", "v", marker=True))) == {two}
    assert set(destinations(rules, Version("box", "base/1", "v", marker=True))) == {one, two}

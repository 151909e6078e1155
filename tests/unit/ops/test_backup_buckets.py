"""Which backup buckets are the stack's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.backups import FoundBuckets
from lab.aws.service import operator_environment
from ops.backup_buckets import find
from spec.errors import HaError
from tests.unit.conftest import REGION, Bucket
from tests.unit.iam import scope

SCOPE = scope("dev")
COPY = SCOPE.backup_copy_bucket or ""


@pytest.fixture(autouse=True)
def _operator(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in operator_environment(bucket.api.url, REGION).items():
        monkeypatch.setenv(name, value)


def make(bucket: Bucket, name: str, stack: str | None) -> None:
    where = name.partition("123456789012-")[2]
    s3 = bucket.api.client("s3")
    location = {} if where == REGION else {"CreateBucketConfiguration": {"LocationConstraint": where}}
    s3.create_bucket(Bucket=name, **location)
    if stack:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "ha:stack", "Value": stack}]})


def test_none_exists_before_the_first_update(bucket: Bucket) -> None:
    assert find(SCOPE, in_state=()) == FoundBuckets()


def test_those_with_the_stacks_tag_that_the_state_lacks_were_left(bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, "dev")
    assert find(SCOPE, in_state=()).left == {SCOPE.backup_bucket}
    make(bucket, COPY, "dev")
    assert find(SCOPE, in_state=()).left == {SCOPE.backup_bucket, COPY}
    assert find(SCOPE, in_state=(SCOPE.backup_bucket, "another")).left == {COPY}
    assert find(replace(SCOPE, backup_copy_region=None), in_state=()).left == {SCOPE.backup_bucket}


def test_object_lock_is_seen_with_and_without_a_default(bucket: Bucket) -> None:
    s3 = bucket.api.client("s3")
    for name in (SCOPE.backup_bucket, COPY):
        make(bucket, name, "dev")
    assert not find(SCOPE, in_state=()).locked
    s3.put_bucket_versioning(Bucket=COPY, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=COPY, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert find(SCOPE, in_state=(SCOPE.backup_bucket, COPY)) == FoundBuckets(locked=frozenset({COPY}))


def test_one_of_the_state_that_is_gone_is_refused_by_name(bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, "dev")
    with pytest.raises(HaError, match=f"^{COPY} is in the stack's state, but it does not exist") as refused:
        find(SCOPE, in_state=(SCOPE.backup_bucket, COPY))
    assert "pulumi refresh" in refused.value.fix
    # What the settings no longer name is nobody's to miss.
    assert find(replace(SCOPE, backup_copy_region=None), in_state=(SCOPE.backup_bucket, COPY)) == FoundBuckets()


@pytest.mark.parametrize("stack", ["prod", None])
def test_one_with_another_tag_or_none_is_refused_by_name(stack: str | None, bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, stack)
    with pytest.raises(HaError, match="is of the stack 'dev'") as refused:
        find(SCOPE, in_state=())
    assert SCOPE.backup_bucket in refused.value.where

"""Which backup buckets are the stack's own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from components.backups import FoundBuckets
from lab.aws.service import operator_environment
from ops.backup_buckets import find
from spec.changes import IN_FORCE_KEY
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


def complete(bucket: Bucket, copy_region: str | None) -> None:
    """As the last resource of the program says it."""
    document = {"settings": {"backups": {"copy_region": copy_region}}}
    s3 = bucket.api.client("s3")
    s3.create_bucket(Bucket=SCOPE.artifact_bucket)
    s3.put_object(Bucket=SCOPE.artifact_bucket, Key=IN_FORCE_KEY, Body=json.dumps(document))


def test_none_exists_before_the_first_update(bucket: Bucket) -> None:
    assert find(SCOPE) == FoundBuckets()


def test_those_with_the_stacks_tag_that_the_state_lacks_were_left(bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, "dev")
    assert find(SCOPE).left == {SCOPE.backup_bucket}
    make(bucket, COPY, "dev")
    assert find(SCOPE).left == {SCOPE.backup_bucket, COPY}
    assert find(replace(SCOPE, backup_copy_region=None)).left == {SCOPE.backup_bucket}


@pytest.mark.parametrize(
    ("copy_region", "left"), [(None, {COPY}), ("eu-west-1", {COPY}), (SCOPE.backup_copy_region, set[str]())]
)
def test_what_the_last_whole_update_had_is_not_left(copy_region: str | None, left: set[str], bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, "dev")
    make(bucket, COPY, "dev")
    complete(bucket, copy_region)
    assert find(SCOPE).left == left


def test_object_lock_is_seen_with_and_without_a_default(bucket: Bucket) -> None:
    s3 = bucket.api.client("s3")
    for name in (SCOPE.backup_bucket, COPY):
        make(bucket, name, "dev")
    assert not find(SCOPE).locked
    s3.put_bucket_versioning(Bucket=COPY, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=COPY, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    complete(bucket, SCOPE.backup_copy_region)
    assert find(SCOPE) == FoundBuckets(locked=frozenset({COPY}))


def test_one_of_the_stack_that_is_gone_is_refused_by_name(bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, "dev")
    complete(bucket, SCOPE.backup_copy_region)
    with pytest.raises(HaError, match=f"^{COPY} is the stack's, but it does not exist") as refused:
        find(SCOPE)
    assert "pulumi refresh" in refused.value.fix
    # What the settings no longer name is nobody's to miss.
    assert find(replace(SCOPE, backup_copy_region=None)) == FoundBuckets()


@pytest.mark.parametrize("stack", ["prod", None])
def test_one_with_another_tag_or_none_is_refused_by_name(stack: str | None, bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, stack)
    with pytest.raises(HaError, match="is of the stack 'dev'") as refused:
        find(SCOPE)
    assert SCOPE.backup_bucket in refused.value.where

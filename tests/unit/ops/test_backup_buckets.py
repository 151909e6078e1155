"""Which backup buckets are the stack's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.aws.service import operator_environment
from ops.backup_buckets import existing
from spec.errors import HaError
from tests.unit.conftest import REGION, Bucket
from tests.unit.iam import scope

SCOPE = scope("dev")


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
    assert existing(SCOPE) == set()


def test_those_with_the_stacks_tag_are_its_own(bucket: Bucket) -> None:
    copy = SCOPE.backup_copy_bucket
    assert copy
    make(bucket, SCOPE.backup_bucket, "dev")
    assert existing(SCOPE) == {SCOPE.backup_bucket}
    make(bucket, copy, "dev")
    assert existing(SCOPE) == {SCOPE.backup_bucket, copy}
    assert existing(replace(SCOPE, backup_copy_region=None)) == {SCOPE.backup_bucket}


@pytest.mark.parametrize("stack", ["prod", None])
def test_one_with_another_tag_or_none_is_refused_by_name(stack: str | None, bucket: Bucket) -> None:
    make(bucket, SCOPE.backup_bucket, stack)
    with pytest.raises(HaError, match="is of the stack 'dev'") as refused:
        existing(SCOPE)
    assert SCOPE.backup_bucket in refused.value.where

"""Conditional writes as S3 answers them, and its errors as a person reads them."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from ops.objects import Conflict, read, replace
from spec.errors import HaError
from tests.unit.conftest import Bucket

KEY = "operations/x"


@pytest.fixture
def s3() -> Any:
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


def test_only_the_version_that_was_read_is_replaced(bucket: Bucket) -> None:
    assert read(bucket.s3, bucket.name, KEY).body is None
    first = replace(bucket.s3, bucket.name, KEY, b"1", "")
    with pytest.raises(Conflict):
        replace(bucket.s3, bucket.name, KEY, b"2", "")
    second = replace(bucket.s3, bucket.name, KEY, b"2", first)
    with pytest.raises(Conflict):
        replace(bucket.s3, bucket.name, KEY, b"3", first)
    found = read(bucket.s3, bucket.name, KEY)
    assert (found.body, found.etag) == (b"2", second)
    bucket.s3.delete_object(Bucket=bucket.name, Key=KEY)
    with pytest.raises(Conflict):
        replace(bucket.s3, bucket.name, KEY, b"3", second)
    replace(bucket.s3, bucket.name, KEY, b"3", read(bucket.s3, bucket.name, KEY).etag)


def test_a_write_at_the_same_time_is_a_conflict(s3: Any) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        with pytest.raises(Conflict):
            replace(s3, "bucket", KEY, b"1", '"etag"')


@pytest.mark.parametrize("call", ["get_object", "put_object"])
@pytest.mark.parametrize(
    ("code", "what", "fix"),
    [
        ("AccessDenied", f"S3 denies access to {KEY} in the bucket a-bucket", "s3:PutObject on a-bucket/operations/*"),
        ("SlowDown", "S3 failed: SlowDown", "try again"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(s3: Any, call: str, code: str, what: str, fix: str) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error(call, code)
        with pytest.raises(HaError, match=what) as failed:
            read(s3, "a-bucket", KEY) if call == "get_object" else replace(s3, "a-bucket", KEY, b"1", "")
    assert fix in failed.value.fix
    assert failed.value.where == f"s3://a-bucket/{KEY}"


def test_an_s3_that_cannot_be_reached_is_told(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(s3, "get_object", unreachable)
    with pytest.raises(HaError, match="S3 cannot be asked: Could not connect"):
        read(s3, "bucket", KEY)

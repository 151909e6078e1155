"""What is read from a request: its operation, its bucket and key, its body."""

from __future__ import annotations

import pytest

from lab.aws.request import AwsRequest, Protocol
from tests.unit.lab.aws.requests import form, request, s3, ssm

KEY = "releases/a.tar.gz"


@pytest.mark.parametrize(
    ("asked", "operation"),
    [
        (ssm("GetParameter", Name="/a"), "GetParameter"),
        (form("ec2", "DescribeAddresses"), "DescribeAddresses"),
        (
            request(service="monitoring", path="/service/GraniteServiceVersion20100801/operation/PutMetricData"),
            "PutMetricData",
        ),
        (request("GET", service="s3"), "ListBuckets"),
        (s3("HEAD"), "HeadBucket"),
        (s3("PUT"), "CreateBucket"),
        (s3("DELETE"), "DeleteBucket"),
        (s3("GET"), "ListObjects"),
        (s3("GET", query="list-type=2&prefix=wal%2F"), "ListObjectsV2"),
        (s3("GET", query="versions"), "ListObjectVersions"),
        (s3("GET", query="uploads"), "ListMultipartUploads"),
        (s3("GET", query="location"), "GetBucketLocation"),
        (s3("PUT", query="policy"), "PutBucketPolicy"),
        (s3("POST", query="delete"), "DeleteObjects"),
        (s3("GET", KEY), "GetObject"),
        (s3("HEAD", KEY, "versionId=3"), "HeadObject"),
        (s3("PUT", KEY), "PutObject"),
        (s3("PUT", KEY, HTTP_X_AMZ_COPY_SOURCE="/other/thing"), "CopyObject"),
        (s3("DELETE", KEY), "DeleteObject"),
        (s3("GET", KEY, "tagging"), "GetObjectTagging"),
        (s3("PUT", KEY, "tagging"), "PutObjectTagging"),
        (s3("POST", KEY, "uploads"), "CreateMultipartUpload"),
        (s3("PUT", KEY, "uploadId=1&partNumber=1"), "UploadPart"),
        (s3("POST", KEY, "uploadId=1"), "CompleteMultipartUpload"),
        (s3("DELETE", KEY, "uploadId=1"), "AbortMultipartUpload"),
        (s3("GET", KEY, "uploadId=1"), "ListParts"),
        (s3("PATCH", KEY), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_operation_is_found_in_each_protocol(asked: AwsRequest, operation: str) -> None:
    assert asked.operation == operation


@pytest.mark.parametrize(
    ("host", "path", "bucket", "key", "virtual"),
    [
        ("s3.us-east-1.amazonaws.com", "/box/a/b%20c", "box", "a/b c", False),
        ("box.s3.us-east-1.amazonaws.com", "/a/b%2Fc", "box", "a/b/c", True),
        ("my.box.s3.amazonaws.com", "/a", "my.box", "a", True),
        ("s3.amazonaws.com:443", "/box", "box", None, False),
        ("box.s3.dualstack.us-east-1.amazonaws.com", "/", "box", None, True),
        ("127.0.0.1:4566", "/box/a", "box", "a", False),
    ],
)
def test_a_bucket_is_found_in_path_and_host(host: str, path: str, bucket: str, key: str | None, virtual: bool) -> None:
    found = request("GET", host, path, service="s3")
    assert (found.bucket, found.key, found.virtual_hosted, found.protocol) == (
        bucket,
        key,
        virtual,
        Protocol.S3,
    )


def test_the_body_can_be_read_again() -> None:
    asked = ssm("GetParameter", Name="/a")
    assert asked.params == {"Name": "/a"}
    assert asked.environ["wsgi.input"].read() == b'{"Name": "/a"}'


@pytest.mark.parametrize(
    ("asked", "reads"),
    [
        (form("ec2", "DescribeInstances"), True),
        (form("ec2", "RunInstances"), False),
        (ssm("GetParameter"), True),
        (ssm("PutParameter"), False),
        (s3("GET", "a"), True),
        (s3("PUT", "a"), False),
        (s3("GET"), True),
    ],
)
def test_an_operation_that_only_reads_is_known(asked: AwsRequest, reads: bool) -> None:
    assert asked.read_only is reads

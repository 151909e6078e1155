"""Every row of the table of actions, with what it must amount to."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from lab.aws.actions import OPERATIONS, Needed, Place, needed
from lab.aws.request import AwsRequest, Protocol, read_request

PLACE = Place("123456789012", "us-east-1")
SSM = "arn:aws:ssm:us-east-1:123456789012:parameter"
EC2 = "arn:aws:ec2:us-east-1:123456789012:"


def request(
    method: str = "POST",
    host: str = "",
    path: str = "/",
    *,
    service: str = "",
    query: str = "",
    body: bytes = b"",
    **headers: str,
) -> AwsRequest:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "HTTP_HOST": host or f"{service}.us-east-1.amazonaws.com",
        "PATH_INFO": path,
        "RAW_URI": path + (f"?{query}" if query else ""),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/{service}/aws4_request, "
        "SignedHeaders=host, Signature=00",
        **headers,
    }
    return read_request(environ)


def ssm(operation: str, **params: Any) -> AwsRequest:
    return request(service="ssm", body=json.dumps(params).encode(), HTTP_X_AMZ_TARGET=f"AmazonSSM.{operation}")


def form(service: str, operation: str, **params: str) -> AwsRequest:
    fields = {key.replace("__", "."): value for key, value in params.items()}
    return request(service=service, body=urlencode({"Action": operation, **fields}).encode())


def s3(method: str, key: str = "", query: str = "", body: bytes = b"", **headers: str) -> AwsRequest:
    return request(method, path=f"/box/{key}", service="s3", query=query, body=body, **headers)


BOX = "arn:aws:s3:::box"
KEY = f"{BOX}/releases/a.tar.gz"
KEY_PATH = "releases/a.tar.gz"
DELETE_TWO = b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a</Key></Object><Object><Key>b/c</Key></Object></Delete>'

EXPECTED: dict[tuple[str, str], tuple[AwsRequest, list[Needed]]] = {
    ("ssm", "GetParameter"): (
        ssm("GetParameter", Name="/ha/dev/db/app-password:3"),
        [Needed("ssm:GetParameter", f"{SSM}/ha/dev/db/app-password")],
    ),
    ("ssm", "GetParameters"): (
        ssm("GetParameters", Names=["/a/b", "plain"]),
        [Needed("ssm:GetParameters", f"{SSM}/a/b"), Needed("ssm:GetParameters", f"{SSM}/plain")],
    ),
    ("ssm", "GetParametersByPath"): (
        ssm("GetParametersByPath", Path="/ha/dev", Recursive=True),
        [Needed("ssm:GetParametersByPath", f"{SSM}/ha/dev", {"ssm:Recursive": "true"})],
    ),
    ("ssm", "GetParameterHistory"): (
        ssm("GetParameterHistory", Name="/a"),
        [Needed("ssm:GetParameterHistory", f"{SSM}/a")],
    ),
    ("ssm", "PutParameter"): (
        ssm("PutParameter", Name="/a", Value="x", Overwrite=True),
        [Needed("ssm:PutParameter", f"{SSM}/a", {"ssm:Overwrite": "true"})],
    ),
    ("ssm", "DeleteParameter"): (
        ssm("DeleteParameter", Name="/a"),
        [Needed("ssm:DeleteParameter", f"{SSM}/a")],
    ),
    ("ssm", "DeleteParameters"): (
        ssm("DeleteParameters", Names=["/a"]),
        [Needed("ssm:DeleteParameters", f"{SSM}/a")],
    ),
    ("ssm", "DescribeParameters"): (ssm("DescribeParameters"), [Needed("ssm:DescribeParameters")]),
    ("ssm", "UpdateInstanceInformation"): (
        ssm("UpdateInstanceInformation", InstanceId="i-1"),
        [Needed("ssm:UpdateInstanceInformation", f"{EC2}instance/i-1")],
    ),
    ("s3", "ListBuckets"): (request("GET", service="s3"), [Needed("s3:ListAllMyBuckets")]),
    ("s3", "HeadBucket"): (s3("HEAD"), [Needed("s3:ListBucket", BOX)]),
    ("s3", "ListObjects"): (s3("GET"), [Needed("s3:ListBucket", BOX)]),
    ("s3", "ListObjectsV2"): (
        s3("GET", query="list-type=2&prefix=wal%2F"),
        [Needed("s3:ListBucket", BOX, {"s3:prefix": "wal/"})],
    ),
    ("s3", "ListObjectVersions"): (s3("GET", query="versions"), [Needed("s3:ListBucketVersions", BOX)]),
    ("s3", "ListMultipartUploads"): (
        s3("GET", query="uploads"),
        [Needed("s3:ListBucketMultipartUploads", BOX)],
    ),
    ("s3", "GetBucketLocation"): (s3("GET", query="location"), [Needed("s3:GetBucketLocation", BOX)]),
    ("s3", "GetObject"): (s3("GET", KEY_PATH), [Needed("s3:GetObject", KEY)]),
    ("s3", "HeadObject"): (
        s3("HEAD", KEY_PATH, "versionId=3"),
        [Needed("s3:GetObjectVersion", KEY)],
    ),
    ("s3", "PutObject"): (s3("PUT", KEY_PATH), [Needed("s3:PutObject", KEY)]),
    ("s3", "CopyObject"): (
        s3("PUT", KEY_PATH, HTTP_X_AMZ_COPY_SOURCE="/other/thing?versionId=1"),
        [Needed("s3:GetObject", "arn:aws:s3:::other/thing"), Needed("s3:PutObject", KEY)],
    ),
    ("s3", "DeleteObject"): (s3("DELETE", KEY_PATH), [Needed("s3:DeleteObject", KEY)]),
    ("s3", "DeleteObjects"): (
        s3("POST", query="delete", body=DELETE_TWO),
        [Needed("s3:DeleteObject", f"{BOX}/a"), Needed("s3:DeleteObject", f"{BOX}/b/c")],
    ),
    ("s3", "CreateMultipartUpload"): (s3("POST", KEY_PATH, "uploads"), [Needed("s3:PutObject", KEY)]),
    ("s3", "UploadPart"): (s3("PUT", KEY_PATH, "uploadId=1&partNumber=1"), [Needed("s3:PutObject", KEY)]),
    ("s3", "CompleteMultipartUpload"): (s3("POST", KEY_PATH, "uploadId=1"), [Needed("s3:PutObject", KEY)]),
    ("s3", "AbortMultipartUpload"): (
        s3("DELETE", KEY_PATH, "uploadId=1"),
        [Needed("s3:AbortMultipartUpload", KEY)],
    ),
    ("s3", "ListParts"): (s3("GET", KEY_PATH, "uploadId=1"), [Needed("s3:ListMultipartUploadParts", KEY)]),
    ("s3", "GetObjectTagging"): (s3("GET", KEY_PATH, "tagging"), [Needed("s3:GetObjectTagging", KEY)]),
    ("s3", "PutObjectTagging"): (s3("PUT", KEY_PATH, "tagging"), [Needed("s3:PutObjectTagging", KEY)]),
    ("sns", "Publish"): (
        form("sns", "Publish", TopicArn="arn:aws:sns:us-east-1:123456789012:alerts"),
        [Needed("sns:Publish", "arn:aws:sns:us-east-1:123456789012:alerts")],
    ),
    ("ec2", "DescribeAddresses"): (form("ec2", "DescribeAddresses"), [Needed("ec2:DescribeAddresses")]),
    ("ec2", "DescribeInstances"): (form("ec2", "DescribeInstances"), [Needed("ec2:DescribeInstances")]),
    ("ec2", "DescribeNetworkInterfaces"): (
        form("ec2", "DescribeNetworkInterfaces"),
        [Needed("ec2:DescribeNetworkInterfaces")],
    ),
    ("ec2", "DescribeTags"): (form("ec2", "DescribeTags"), [Needed("ec2:DescribeTags")]),
    ("ec2", "DescribeVolumes"): (form("ec2", "DescribeVolumes"), [Needed("ec2:DescribeVolumes")]),
    ("ec2", "AssociateAddress"): (
        form("ec2", "AssociateAddress", AllocationId="eipalloc-1", NetworkInterfaceId="eni-2"),
        [
            Needed("ec2:AssociateAddress", f"{EC2}elastic-ip/eipalloc-1"),
            Needed("ec2:AssociateAddress", f"{EC2}network-interface/eni-2"),
        ],
    ),
    ("ec2", "DisassociateAddress"): (
        form("ec2", "DisassociateAddress", AssociationId="eipassoc-1"),
        [Needed("ec2:DisassociateAddress")],
    ),
    ("ec2", "AssignPrivateIpAddresses"): (
        form("ec2", "AssignPrivateIpAddresses", NetworkInterfaceId="eni-2"),
        [Needed("ec2:AssignPrivateIpAddresses", f"{EC2}network-interface/eni-2")],
    ),
    ("ec2", "AttachVolume"): (
        form("ec2", "AttachVolume", InstanceId="i-1", VolumeId="vol-2"),
        [
            Needed("ec2:AttachVolume", f"{EC2}instance/i-1"),
            Needed("ec2:AttachVolume", f"{EC2}volume/vol-2"),
        ],
    ),
    ("ec2", "CreateTags"): (
        form("ec2", "CreateTags", ResourceId__1="i-1", Tag__1__Key="role", Tag__1__Value="primary"),
        [Needed("ec2:CreateTags", f"{EC2}instance/i-1", {"aws:RequestTag/role": "primary"})],
    ),
    ("cloudwatch", "PutMetricData"): (
        form("monitoring", "PutMetricData", Namespace="ha/dev"),
        [Needed("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "ha/dev"})],
    ),
    ("sts", "GetCallerIdentity"): (form("sts", "GetCallerIdentity"), []),
    ("kms", "Decrypt"): (
        request(
            service="kms",
            body=b'{"KeyId": "11111111-2222"}',
            HTTP_X_AMZ_TARGET="TrentService.Decrypt",
        ),
        [Needed("kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/11111111-2222")],
    ),
}


def test_every_row_has_an_expectation() -> None:
    assert set(EXPECTED) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS, ids=".".join)
def test_a_request_amounts_to_the_actions_of_its_row(name: tuple[str, str]) -> None:
    asked, expected = EXPECTED[name]
    assert (asked.service, asked.operation) == name
    assert list(needed(asked, PLACE) or []) == expected


def test_what_the_table_lacks_is_told_from_what_needs_nothing() -> None:
    assert needed(form("ec2", "TerminateInstances", InstanceId__1="i-1"), PLACE) is None
    assert needed(s3("PUT", "", "policy"), PLACE) is None


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


def test_reading_the_body_leaves_it_for_those_who_come_after() -> None:
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
def test_what_only_reads_is_known(asked: AwsRequest, reads: bool) -> None:
    assert asked.read_only is reads

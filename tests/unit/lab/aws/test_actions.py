"""Every row of the table of actions, with the actions that it must need."""

from __future__ import annotations

import pytest

from lab.aws.actions import OPERATIONS, Needed, Place, needed
from lab.aws.request import AwsRequest
from tests.unit.lab.aws.requests import form, request, s3, ssm

PLACE = Place("123456789012", "us-east-1")
SSM = "arn:aws:ssm:us-east-1:123456789012:parameter"
EC2 = "arn:aws:ec2:us-east-1:123456789012:"
KEY = "arn:aws:s3:::box/releases/a.tar.gz"
KEY_PATH = "releases/a.tar.gz"
BOX = "arn:aws:s3:::box"
DELETE = (
    b"<Delete><Object><Key>a&amp;b</Key></Object>"
    b"<Object><Key>c</Key><VersionId>1</VersionId></Object><Quiet>true</Quiet></Delete>"
)

EXPECTED: dict[tuple[str, str], tuple[AwsRequest, list[Needed]]] = {
    ("ssm", "GetParameter"): (
        ssm("GetParameter", Name="/ha/dev/db/app-password:3"),
        [Needed("ssm:GetParameter", f"{SSM}/ha/dev/db/app-password")],
    ),
    ("ssm", "PutParameter"): (
        ssm("PutParameter", Name="/a", Value="x", Overwrite=True),
        [Needed("ssm:PutParameter", f"{SSM}/a", {"ssm:Overwrite": "true"})],
    ),
    ("s3", "GetObject"): (s3("GET", KEY_PATH), [Needed("s3:GetObject", KEY)]),
    ("s3", "HeadObject"): (s3("HEAD", KEY_PATH, "versionId=3"), [Needed("s3:GetObjectVersion", KEY)]),
    ("s3", "PutObject"): (
        s3("PUT", KEY_PATH, HTTP_X_AMZ_OBJECT_LOCK_MODE="GOVERNANCE", HTTP_X_AMZ_TAGGING="a=b"),
        [Needed(f"s3:{name}", KEY) for name in ("PutObject", "PutObjectRetention", "PutObjectTagging")],
    ),
    ("s3", "CreateMultipartUpload"): (s3("POST", KEY_PATH, "uploads"), [Needed("s3:PutObject", KEY)]),
    ("s3", "UploadPart"): (s3("PUT", KEY_PATH, "partNumber=1&uploadId=1"), [Needed("s3:PutObject", KEY)]),
    ("s3", "CompleteMultipartUpload"): (s3("POST", KEY_PATH, "uploadId=1"), [Needed("s3:PutObject", KEY)]),
    ("s3", "AbortMultipartUpload"): (s3("DELETE", KEY_PATH, "uploadId=1"), [Needed("s3:AbortMultipartUpload", KEY)]),
    ("s3", "ListParts"): (s3("GET", KEY_PATH, "uploadId=1"), [Needed("s3:ListMultipartUploadParts", KEY)]),
    ("s3", "DeleteObject"): (
        s3("DELETE", KEY_PATH, "versionId=3", HTTP_X_AMZ_BYPASS_GOVERNANCE_RETENTION="true"),
        [Needed("s3:DeleteObjectVersion", KEY), Needed("s3:BypassGovernanceRetention", KEY)],
    ),
    ("s3", "DeleteObjects"): (
        s3("POST", "", "delete", DELETE),
        [Needed("s3:DeleteObject", f"{BOX}/a&b"), Needed("s3:DeleteObjectVersion", f"{BOX}/c")],
    ),
    ("s3", "GetObjectRetention"): (s3("GET", KEY_PATH, "retention"), [Needed("s3:GetObjectRetention", KEY)]),
    ("s3", "PutObjectRetention"): (s3("PUT", KEY_PATH, "retention"), [Needed("s3:PutObjectRetention", KEY)]),
    ("s3", "GetObjectLegalHold"): (s3("GET", KEY_PATH, "legal-hold"), [Needed("s3:GetObjectLegalHold", KEY)]),
    ("s3", "PutObjectLegalHold"): (s3("PUT", KEY_PATH, "legal-hold"), [Needed("s3:PutObjectLegalHold", KEY)]),
    ("s3", "HeadBucket"): (s3("HEAD"), [Needed("s3:ListBucket", BOX)]),
    ("s3", "ListObjects"): (s3("GET"), [Needed("s3:ListBucket", BOX)]),
    ("s3", "ListObjectsV2"): (
        s3("GET", "", "list-type=2&prefix=a/&delimiter=/"),
        [Needed("s3:ListBucket", BOX, {"s3:delimiter": "/", "s3:prefix": "a/"})],
    ),
    ("s3", "ListObjectVersions"): (s3("GET", "", "versions"), [Needed("s3:ListBucketVersions", BOX)]),
    ("s3", "ListMultipartUploads"): (s3("GET", "", "uploads"), [Needed("s3:ListBucketMultipartUploads", BOX)]),
    ("s3", "PutBucketLifecycle"): (s3("PUT", "", "lifecycle"), [Needed("s3:PutLifecycleConfiguration", BOX)]),
    ("s3", "PutBucketObjectLockConfiguration"): (
        s3("PUT", "", "object-lock"),
        [Needed("s3:PutBucketObjectLockConfiguration", BOX)],
    ),
    ("s3", "PutBucketPolicy"): (s3("PUT", "", "policy"), [Needed("s3:PutBucketPolicy", BOX)]),
    ("s3", "PutBucketReplication"): (s3("PUT", "", "replication"), [Needed("s3:PutReplicationConfiguration", BOX)]),
    ("s3", "PutBucketVersioning"): (s3("PUT", "", "versioning"), [Needed("s3:PutBucketVersioning", BOX)]),
    ("sns", "Publish"): (
        form("sns", "Publish", TopicArn="arn:aws:sns:us-east-1:123456789012:alerts"),
        [Needed("sns:Publish", "arn:aws:sns:us-east-1:123456789012:alerts")],
    ),
    ("sts", "GetCallerIdentity"): (form("sts", "GetCallerIdentity"), []),
    ("ec2", "DescribeAddresses"): (form("ec2", "DescribeAddresses"), [Needed("ec2:DescribeAddresses")]),
    ("ec2", "AssociateAddress"): (
        form("ec2", "AssociateAddress", AllocationId="eipalloc-1", NetworkInterfaceId="eni-2"),
        [
            Needed("ec2:AssociateAddress", f"{EC2}elastic-ip/eipalloc-1"),
            Needed("ec2:AssociateAddress", f"{EC2}network-interface/eni-2"),
        ],
    ),
}


def test_every_row_has_an_expectation() -> None:
    assert set(EXPECTED) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS, ids=".".join)
def test_a_request_needs_the_actions_of_its_row(name: tuple[str, str]) -> None:
    asked, expected = EXPECTED[name]
    assert (asked.service, asked.operation) == name
    assert list(needed(asked, PLACE) or []) == expected


def test_a_parameter_may_be_given_by_its_arn() -> None:
    asked = ssm("GetParameter", Name=f"{SSM}/a")
    assert needed(asked, PLACE) == [Needed("ssm:GetParameter", f"{SSM}/a")]


def test_an_operation_without_a_row_is_not_known() -> None:
    assert needed(form("ec2", "TerminateInstances", InstanceId__1="i-1"), PLACE) is None
    assert needed(s3("PUT", "", "website"), PLACE) is None


def test_a_parameter_is_one_of_the_region_that_is_asked() -> None:
    asked = request(
        service="ssm",
        body=b'{"Name": "/a"}',
        HTTP_X_AMZ_TARGET="AmazonSSM.GetParameter",
        HTTP_AUTHORIZATION="AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-west-2/ssm/aws4_request, "
        "SignedHeaders=host, Signature=00",
    )
    assert needed(asked, PLACE) == [Needed("ssm:GetParameter", f"{SSM}/a".replace("us-east-1", "us-west-2"))]

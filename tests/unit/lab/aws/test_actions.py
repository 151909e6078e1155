"""Every row of the table of actions, with the actions that it must need."""

from __future__ import annotations

import pytest

from lab.aws.actions import OPERATIONS, Needed, Place, needed
from lab.aws.request import AwsRequest
from tests.unit.lab.aws.requests import form, s3, ssm

PLACE = Place("123456789012", "us-east-1")
SSM = "arn:aws:ssm:us-east-1:123456789012:parameter"
EC2 = "arn:aws:ec2:us-east-1:123456789012:"
KEY = "arn:aws:s3:::box/releases/a.tar.gz"
KEY_PATH = "releases/a.tar.gz"

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
    assert needed(s3("PUT", "", "policy"), PLACE) is None

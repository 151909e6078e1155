"""What counts as a change of a resource, and what replaces it."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.provider.experimental.provider import PropertyDiffKind

from lab.provider.diff import compare
from lab.provider.resource_type import ResourceType
from lab.provider.resource_types import RESOURCE_TYPES
from lab.provider.values import UNKNOWN

INSTANCE = RESOURCE_TYPES["aws:ec2/instance:Instance"]


def detail(resource_type: ResourceType, old: dict[str, Any], new: dict[str, Any]) -> dict[str, PropertyDiffKind]:
    found = compare(
        resource_type, {**resource_type.defaults, **old}, {**resource_type.defaults, **new}, new.get("tags") or {}
    )
    return {path: diff.kind for path, diff in found.detail.items()}


STATE: dict[str, Any] = {
    "ami": "ami-1",
    "instanceType": "t3.small",
    "tags": {"Name": "dev-db1", "ha:tier": "db"},
    "tagsAll": {"Name": "dev-db1", "ha:tier": "db"},
    "privateIp": "10.20.0.21",
    "vpcSecurityGroupIds": ["sg-1", "sg-2"],
    "metadataOptions": {"httpTokens": "required", "httpEndpoint": "enabled", "httpPutResponseHopLimit": 1},
    "rootBlockDevice": {"encrypted": True, "volumeSize": 8, "volumeId": "vol-1", "tags": {}},
    "userDataBase64": "YQ==",
    "userDataReplaceOnChange": True,
}
INPUTS = {
    key: STATE[key]
    for key in ("ami", "instanceType", "tags", "vpcSecurityGroupIds", "userDataBase64", "userDataReplaceOnChange")
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"vpcSecurityGroupIds": ["sg-2", "sg-1"]}, {}),
        ({"metadataOptions": {"httpTokens": "required"}}, {}),
        ({"rootBlockDevice": {"volumeSize": 8}}, {}),
        ({"privateIp": "10.20.0.21"}, {}),
        ({"keyName": ""}, {}),
        ({"instanceType": "t3.medium"}, {"instanceType": PropertyDiffKind.UPDATE}),
        ({"ami": "ami-2"}, {"ami": PropertyDiffKind.UPDATE_REPLACE}),
        ({"ami": UNKNOWN}, {"ami": PropertyDiffKind.UPDATE_REPLACE}),
        ({"keyName": "mine"}, {"keyName": PropertyDiffKind.ADD_REPLACE}),
        ({"userDataBase64": "Yg=="}, {"userDataBase64": PropertyDiffKind.UPDATE_REPLACE}),
        (
            {"userDataBase64": "Yg==", "userDataReplaceOnChange": False},
            {"userDataBase64": PropertyDiffKind.UPDATE, "userDataReplaceOnChange": PropertyDiffKind.UPDATE},
        ),
        (
            {"metadataOptions": {"httpTokens": "optional"}},
            {"metadataOptions.httpTokens": PropertyDiffKind.UPDATE},
        ),
        (
            {"rootBlockDevice": {"encrypted": False}},
            {"rootBlockDevice.encrypted": PropertyDiffKind.UPDATE_REPLACE},
        ),
        ({"rootBlockDevice": {"volumeSize": 9}}, {"rootBlockDevice.volumeSize": PropertyDiffKind.UPDATE}),
        (
            {"tags": {"Name": "dev-db1", "ha:tier": "cache"}},
            {'tags["ha:tier"]': PropertyDiffKind.UPDATE},
        ),
        ({"tags": {"Name": "dev-db1"}}, {'tags["ha:tier"]': PropertyDiffKind.DELETE}),
        (
            {"vpcSecurityGroupIds": ["sg-1", "sg-3"]},
            {"vpcSecurityGroupIds[1]": PropertyDiffKind.UPDATE},
        ),
    ],
)
def test_a_difference_names_exactly_what_changed(change: dict[str, Any], expected: dict[str, PropertyDiffKind]) -> None:
    assert detail(INSTANCE, STATE, {**INPUTS, **change}) == expected


def test_taking_away_what_aws_would_fill_in_is_no_change_and_the_rest_is() -> None:
    rule = RESOURCE_TYPES["aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"]
    old = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "description": "was", "cidrIpv4": "10.0.0.0/8"}
    new = {key: value for key, value in old.items() if key != "description"}
    assert detail(rule, old, new) == {"description": PropertyDiffKind.DELETE}
    inputs = {key: value for key, value in INPUTS.items() if key != "userDataBase64"}
    assert detail(INSTANCE, STATE, inputs) == {}


def test_another_kind_of_source_is_another_rule() -> None:
    rule = RESOURCE_TYPES["aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"]
    old = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "cidrIpv4": "10.0.0.0/8"}
    assert detail(rule, old, {**old, "cidrIpv4": "10.0.0.0/9"}) == {"cidrIpv4": PropertyDiffKind.UPDATE}
    other = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "referencedSecurityGroupId": "sg-2"}
    assert detail(rule, old, other) == {
        "cidrIpv4": PropertyDiffKind.DELETE_REPLACE,
        "referencedSecurityGroupId": PropertyDiffKind.ADD_REPLACE,
    }


def test_documents_are_compared_by_their_content() -> None:
    policy = RESOURCE_TYPES["aws:iam/rolePolicy:RolePolicy"]
    old = {"role": "r", "name": "p", "policy": '{"Version": "2012-10-17", "Statement": []}'}
    assert detail(policy, old, {**old, "policy": '{"Statement":[],"Version":"2012-10-17"}'}) == {}
    assert detail(policy, old, {**old, "policy": "{}"}) == {"policy": PropertyDiffKind.UPDATE}


def test_default_tags_that_change_are_a_change_of_all_tags() -> None:
    defaults = INSTANCE.defaults
    all_tags = {"Name": "dev-db1", "ha:tier": "db", "owner": "ops"}
    found = compare(INSTANCE, {**defaults, **STATE}, {**defaults, **INPUTS}, all_tags)
    assert {path: diff.kind for path, diff in found.detail.items()} == {"tagsAll.owner": PropertyDiffKind.ADD}

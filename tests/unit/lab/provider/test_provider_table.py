"""The provider's table against the SDK of the real provider, which knows every name; its diff; its values."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pulumi_aws
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind

from lab.provider.cloud import Cloud, NotTheLabError
from lab.provider.diff import compare
from lab.provider.functions import FUNCTIONS, get_policy_document
from lab.provider.row import Row
from lab.provider.rows import ROWS
from lab.provider.values import UNKNOWN, outputs_of, plain, property_value

INSTANCE = ROWS["aws:ec2/instance:Instance"]


def resource_class(token: str) -> type[Any]:
    """The SDK's class of a resource type, e.g. `aws:ec2/instance:Instance`."""
    module, _, name = token.split(":")[1].partition("/")
    found: type[Any] = getattr(getattr(pulumi_aws, module), token.rpartition(":")[2])
    assert name[0].upper() + name[1:] == found.__name__
    return found


def input_names(resource: type[Any]) -> set[str]:
    """The inputs of a resource as Pulumi's engine names them, from the types of its constructor's arguments."""
    source = inspect.getsource(resource._internal_init)
    python_names = set(re.findall(r"__props__\.__dict__\[[\"'](\w+)[\"']\] = (?!None)", source))
    return {property_name(resource, name) for name in python_names}


def property_name(resource: type[Any], python_name: str) -> str:
    getter = inspect.getattr_static(resource, python_name).fget
    return str(getattr(getter, "_pulumi_name", python_name))


def output_names(resource: type[Any]) -> set[str]:
    return {property_name(resource, name) for name, value in vars(resource).items() if isinstance(value, property)}


@pytest.mark.parametrize("token", ROWS)
def test_a_row_uses_the_real_providers_token_and_names(token: str) -> None:
    row, resource = ROWS[token], resource_class(token)
    assert f'"{token}"' in inspect.getsource(resource) or f"'{token}'" in inspect.getsource(resource)
    outputs = output_names(resource)
    assert row.all_inputs <= input_names(resource)
    assert row.all_outputs <= outputs
    for names in (row.required, row.replaces, row.computed, row.documents, row.sets, row.blocks, set(row.defaults)):
        assert set(names) <= row.all_inputs | row.all_outputs


@pytest.mark.parametrize("token", ROWS)
def test_a_row_has_tags_where_the_real_resource_has_them(token: str) -> None:
    has_tags = "tagsAll" in output_names(resource_class(token))
    assert (ROWS[token].retag is not None) == has_tags


@pytest.mark.parametrize("token", FUNCTIONS)
def test_a_function_uses_the_real_providers_token(token: str) -> None:
    module, _, name = token.split(":")[1].partition("/")
    python_name = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    package = pulumi_aws if module == "index" else getattr(pulumi_aws, module)
    assert token in inspect.getsource(getattr(package, python_name))


def test_the_provider_never_speaks_to_anything_but_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("", "https://ec2.us-east-1.amazonaws.com", "http://10.0.0.1:4566"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(NotTheLabError):
            Cloud("us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert Cloud("us-east-1").endpoint_url == "http://127.0.0.1:4566"


# --- Differences


def detail(row: Row, old: dict[str, Any], new: dict[str, Any]) -> dict[str, PropertyDiffKind]:
    found = compare(row, {**row.defaults, **old}, {**row.defaults, **new}, new.get("tags") or {})
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
    rule = ROWS["aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"]
    old = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "description": "was", "cidrIpv4": "10.0.0.0/8"}
    new = {key: value for key, value in old.items() if key != "description"}
    assert detail(rule, old, new) == {"description": PropertyDiffKind.DELETE}
    inputs = {key: value for key, value in INPUTS.items() if key != "userDataBase64"}
    assert detail(INSTANCE, STATE, inputs) == {}


def test_another_kind_of_source_is_another_rule() -> None:
    rule = ROWS["aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"]
    old = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "cidrIpv4": "10.0.0.0/8"}
    assert detail(rule, old, {**old, "cidrIpv4": "10.0.0.0/9"}) == {"cidrIpv4": PropertyDiffKind.UPDATE}
    other = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "referencedSecurityGroupId": "sg-2"}
    assert detail(rule, old, other) == {
        "cidrIpv4": PropertyDiffKind.DELETE_REPLACE,
        "referencedSecurityGroupId": PropertyDiffKind.ADD_REPLACE,
    }


def test_documents_are_compared_by_what_they_say() -> None:
    policy = ROWS["aws:iam/rolePolicy:RolePolicy"]
    old = {"role": "r", "name": "p", "policy": '{"Version": "2012-10-17", "Statement": []}'}
    assert detail(policy, old, {**old, "policy": '{"Statement":[],"Version":"2012-10-17"}'}) == {}
    assert detail(policy, old, {**old, "policy": "{}"}) == {"policy": PropertyDiffKind.UPDATE}


def test_default_tags_that_change_are_a_change_of_all_tags() -> None:
    defaults = INSTANCE.defaults
    all_tags = {"Name": "dev-db1", "ha:tier": "db", "owner": "ops"}
    found = compare(INSTANCE, {**defaults, **STATE}, {**defaults, **INPUTS}, all_tags)
    assert {path: diff.kind for path, diff in found.detail.items()} == {"tagsAll.owner": PropertyDiffKind.ADD}


# --- Values


def test_values_go_both_ways() -> None:
    value = {"text": "a", "number": 3, "half": 0.5, "yes": True, "list": [1, {"deep": "b"}]}
    assert plain(property_value(value)) == value
    assert plain(property_value(UNKNOWN)) is UNKNOWN


def test_secrets_stay_secret_and_unchanged_inputs_stay_as_given() -> None:
    given = {"password": property_value("hunter2", secret=True), "name": PropertyValue("n")}
    outputs = outputs_of({"password": "hunter2", "name": "other", "arn": "a"}, given)
    assert outputs["password"] is given["password"]
    assert outputs["password"].is_secret
    assert not outputs["name"].is_secret
    changed = outputs_of({"password": "hunter3"}, given)
    assert changed["password"].is_secret


def test_a_policy_document_reads_as_terraforms() -> None:
    result = get_policy_document(
        None,  # type: ignore[arg-type]  # it asks nothing of AWS
        {
            "statements": [
                {
                    "sid": "Read",
                    "actions": ["s3:GetObject"],
                    "resources": ["b", "a"],
                    "principals": [{"type": "Service", "identifiers": ["ec2.amazonaws.com"]}],
                    "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["true"]}],
                }
            ]
        },
    )
    assert result["minifiedJson"] == (
        '{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":"s3:GetObject",'
        '"Resource":["a","b"],"Principal":{"Service":"ec2.amazonaws.com"},'
        '"Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}'
    )

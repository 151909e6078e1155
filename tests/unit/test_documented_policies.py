"""The policies of docs/aws.md allow the calls that the commands and the hooks make."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

import pytest

from spec.pointer import Pointer
from spec.project import REPOSITORY
from spec.tiers import Tier

BEGINNINGS = {"deployer": "<summary>Policy of the deployer", "operator": "An operator (`ha status`"}


def statements(who: str) -> list[tuple[set[str], list[str]]]:
    """What the page allows somebody: actions, and the resources that they are allowed on."""
    text = (REPOSITORY / "docs/aws.md").read_text(encoding="utf-8")
    policy = json.loads(text.partition(BEGINNINGS[who])[2].partition("```json\n")[2].partition("```")[0])
    return [(set(listed(one["Action"])), listed(one["Resource"])) for one in policy["Statement"]]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(who: str, action: str, resource: str) -> bool:
    return any(
        any(fnmatchcase(action.lower(), one.lower()) for one in actions)
        and any(fnmatchcase(resource, one) for one in resources)
        for actions, resources in statements(who)
    )


def calls() -> set[str]:
    """The actions of the calls that the sources of `ops` make, in the API's spelling."""
    estate, objects, overrides, prune = (
        (REPOSITORY / "ops" / f"{name}.py").read_text(encoding="utf-8")
        for name in ("estate", "objects", "overrides", "prune")
    )
    asked = set(re.findall(r"_ec2\.((?:describe|get_console)_\w+)\(", estate)) | set(
        re.findall(r'_ec2\.get_paginator\("(\w+)"\)', estate)
    )
    found = {f"ec2:{name}" for name in asked}
    found |= {f"ssm:{name}" for name in re.findall(r"\bssm\.([a-z]\w+_\w+)\(", estate)}
    found |= {f"s3:{name}" for name in re.findall(r"\bs3\.([a-z]\w+_\w+)\(", objects)}
    found |= {f"own-s3:{name}" for name in re.findall(r"\bs3\.([a-z]\w+_object)\(", prune)}
    listings = re.findall(r's3\.get_paginator\("(\w+)"\)', prune)
    found |= {f"own-s3:{LISTINGS[name]}" for name in listings}
    found |= {f"sns:{name}" for name in re.findall(r"\bsns\.(\w+)\(", overrides)}
    assert {one.partition(":")[0] for one in found} == {"ec2", "ssm", "s3", "own-s3", "sns"}, found
    return {one.replace("_", "") for one in found}


BUCKET = "arn:aws:s3:::ha-dev-111122223333-us-east-1"
LISTINGS = {"list_object_versions": "ListBucketVersions", "list_objects_v2": "ListBucket"}
"""The actions of calls that are named otherwise."""
RESOURCES = {
    "ec2": ["*"],
    "ec2:getconsoleoutput": ["arn:aws:ec2:us-east-1:111122223333:instance/i-0"],
    "ssm:sendcommand": [
        "arn:aws:ec2:us-east-1:111122223333:instance/i-0",
        "arn:aws:ssm:us-east-1::document/AWS-RunShellScript",
    ],
    "ssm": ["*"],
    "s3": [f"{BUCKET}/operations/lease"],
    "s3:ListBucketVersions": [BUCKET],
    "s3:ListBucket": [BUCKET],
    "sns": ["arn:aws:sns:us-east-1:111122223333:ha-dev-alerts"],
}


@pytest.mark.parametrize("who", BEGINNINGS)
def test_a_policy_allows_the_calls(who: str) -> None:
    for call in calls():
        service, _, name = call.partition(":")
        if who == "operator" and service in {"own-s3", "sns"}:
            continue  # of the hooks alone
        action = f"{service.removeprefix('own-')}:{name}"
        for resource in RESOURCES.get(action, RESOURCES[action.partition(":")[0]]):
            assert allowed(who, action, resource), (action, resource)


@pytest.mark.parametrize("who", BEGINNINGS)
def test_a_policy_allows_to_read_the_pointers_and_to_see_that_one_is_missing(who: str) -> None:
    # S3 answers 404 to a missing object only to those who may list the bucket.
    assert allowed(who, "s3:ListBucket", BUCKET)
    assert all(allowed(who, "s3:GetObject", f"{BUCKET}/{Pointer.key(tier)}") for tier in Tier)


def test_an_operator_writes_no_pointer_and_no_bundle() -> None:
    for key in ("pointers/app", "bundles/app/0.tar", "releases/0.tar.gz", "settings", "in-service"):
        assert not allowed("operator", "s3:PutObject", f"{BUCKET}/{key}"), key

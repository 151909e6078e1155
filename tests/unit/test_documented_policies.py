"""The policies of docs/aws.md allow the calls that the commands make."""

from __future__ import annotations

import json
import re

from spec.project import REPOSITORY


def operator_policy() -> set[str]:
    """The actions that the page allows an operator."""
    text = (REPOSITORY / "docs/aws.md").read_text(encoding="utf-8")
    policy = json.loads(text.partition("An operator (`ha status`")[2].partition("```json\n")[2].partition("```")[0])
    return {
        one
        for said in policy["Statement"]
        for one in ([said["Action"]] if isinstance(said["Action"], str) else said["Action"])
    }


def test_the_operators_policy_allows_the_calls_of_its_commands() -> None:
    source = (REPOSITORY / "ops/estate.py").read_text(encoding="utf-8")
    asked = set(re.findall(r"_ec2\.(describe_\w+)\(", source)) | set(
        re.findall(r'_ec2\.get_paginator\("(\w+)"\)', source)
    )
    calls = {f"ec2:{name}" for name in asked} | {
        f"ssm:{name}" for name in re.findall(r"\bssm\.([a-z]\w+_\w+)\(", source)
    }
    assert len(calls) >= 4, calls
    objects = (REPOSITORY / "ops/objects.py").read_text(encoding="utf-8")
    # S3 answers 404 to a missing object only to those who may list the bucket.
    calls |= {f"s3:{name}" for name in re.findall(r"\bs3\.([a-z]\w+_\w+)\(", objects)} | {"s3:list_bucket"}
    allowed = {one.replace("_", "").lower() for one in operator_policy()}
    assert {one.replace("_", "").lower() for one in calls} <= allowed

"""Tags, in the forms of EC2's API and as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Properties


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """AWS's list form of tags."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_map(tags: Any) -> dict[str, str]:
    """AWS's list form of tags as a dictionary, without those that AWS sets itself."""
    return {tag["Key"]: tag["Value"] for tag in tags or () if not tag["Key"].startswith("aws:")}


def specification(kind: str, inputs: Properties) -> list[dict[str, Any]]:
    """EC2's TagSpecifications for a new resource."""
    tags = inputs.get("tagsAll") or {}
    return [{"ResourceType": kind, "Tags": tag_list(tags)}] if tags else []


def ec2_retag(cloud: Cloud, resource_id: str, state: Properties, tags: dict[str, str], gone: list[str]) -> None:
    """Set an EC2 resource's tags and remove those that are gone."""
    if gone:
        cloud.ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in gone])
    if tags:
        cloud.ec2.create_tags(Resources=[resource_id], Tags=tag_list(tags))

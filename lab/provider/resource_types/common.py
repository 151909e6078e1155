"""What the rows of several services share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.provider.cloud import Cloud, is_gone
from lab.provider.resource_type import Properties


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """AWS's list form of tags."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_map(tags: Any) -> dict[str, str]:
    """AWS's list form of tags as a dictionary, without those that AWS itself set."""
    return {tag["Key"]: tag["Value"] for tag in tags or () if not tag["Key"].startswith("aws:")}


def specification(kind: str, inputs: Properties) -> list[dict[str, Any]]:
    """EC2's TagSpecifications for something being made."""
    tags = inputs.get("tagsAll") or {}
    return [{"ResourceType": kind, "Tags": tag_list(tags)}] if tags else []


def ec2_retag(cloud: Cloud, resource_id: str, state: Properties, tags: dict[str, str], gone: list[str]) -> None:
    """Set an EC2 resource's tags and take away those that are gone."""
    if gone:
        cloud.ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in gone])
    if tags:
        cloud.ec2.create_tags(Resources=[resource_id], Tags=tag_list(tags))


def found(ask: Callable[[], Any]) -> Any | None:
    """The answer, or None when AWS says that there is no such thing."""
    try:
        return ask()
    except Exception as error:
        if is_gone(error):
            return None
        raise


def gone(do: Callable[[], Any]) -> None:
    """Delete something; that it is gone already is fine."""
    found(do)


def again(create: Callable[[Cloud, Properties], str], cloud: Cloud, inputs: Properties) -> None:
    """Update what AWS overwrites when it is put once more."""
    create(cloud, inputs)


def given(**arguments: Any) -> dict[str, Any]:
    """Arguments of an API call without those that have no value."""
    return {name: value for name, value in arguments.items() if value is not None}


def present(properties: Mapping[str, Any]) -> Properties:
    """Properties without those that AWS gave no value."""
    return {name: value for name, value in properties.items() if value is not None and value != ""}


def wait_for(cloud: Cloud, state: str, **what: Any) -> None:
    """Wait as the real provider does, until EC2 says that a state is reached; asked often, since all is near."""
    cloud.ec2.get_waiter(state).wait(**what, WaiterConfig={"Delay": 1, "MaxAttempts": 300})


def live_instance(cloud: Cloud, instance_id: str) -> Any | None:
    answer = found(lambda: cloud.ec2.describe_instances(InstanceIds=[instance_id]))
    for reservation in answer["Reservations"] if answer else ():
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                return instance
    return None


def stop_instance(cloud: Cloud, instance_id: str) -> None:
    cloud.ec2.stop_instances(InstanceIds=[instance_id])
    wait_for(cloud, "instance_stopped", InstanceIds=[instance_id])


def modify_volume(
    cloud: Cloud, volume_id: str, old: Properties, new: Properties, *, size: str = "size", kind: str = "type"
) -> None:
    keys = {size: "Size", kind: "VolumeType", "iops": "Iops", "throughput": "Throughput"}
    wanted = {keys[name]: new[name] for name in keys if name in new and new[name] != old.get(name)}
    if wanted.get("Size", 0) and wanted["Size"] < old.get(size, 0):
        raise ValueError(
            f"InvalidParameterValue: new size {wanted['Size']} cannot be smaller than existing size {old[size]}"
        )
    if wanted:
        cloud.ec2.modify_volume(VolumeId=volume_id, **wanted)

"""Steps of EC2 that instances and volumes share: waiting, stopping, changing a volume."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Properties
from lab.provider.resource_types.calls import found


def wait_for(cloud: Cloud, state: str, **what: Any) -> None:
    """Wait until EC2 says that a state is reached, as the real provider does, but poll more often."""
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

"""EBS volumes, and their attachments to instances."""

from __future__ import annotations

import hashlib

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Properties, ResourceType, names
from lab.provider.resource_types.calls import found, given, gone, present
from lab.provider.resource_types.ec2 import live_instance, modify_volume, stop_instance, wait_for
from lab.provider.resource_types.tags import ec2_retag, specification


def _create_volume(cloud: Cloud, inputs: Properties) -> str:
    volume = cloud.ec2.create_volume(
        **given(
            AvailabilityZone=inputs["availabilityZone"],
            Size=inputs.get("size"),
            VolumeType=inputs.get("type"),
            Iops=inputs.get("iops"),
            Throughput=inputs.get("throughput"),
            Encrypted=inputs.get("encrypted"),
            KmsKeyId=inputs.get("kmsKeyId"),
            SnapshotId=inputs.get("snapshotId"),
            TagSpecifications=specification("volume", inputs) or None,
        )
    )
    return str(volume["VolumeId"])


def _read_volume(cloud: Cloud, volume_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_volumes(VolumeIds=[volume_id]))
    if not answer or not answer["Volumes"]:
        return None
    volume = answer["Volumes"][0]
    return present(
        {
            "availabilityZone": volume["AvailabilityZone"],
            "size": volume["Size"],
            "type": volume["VolumeType"],
            "iops": volume.get("Iops"),
            "throughput": volume.get("Throughput"),
            "encrypted": volume["Encrypted"],
            "kmsKeyId": volume.get("KmsKeyId"),
            "snapshotId": volume.get("SnapshotId"),
            "createTime": volume["CreateTime"].isoformat(),
            "arn": cloud.arn("ec2", f"volume/{volume_id}"),
        }
    )


def _delete_volume(cloud: Cloud, volume_id: str, state: Properties) -> None:
    if state.get("finalSnapshot"):
        cloud.ec2.create_snapshot(VolumeId=volume_id)
    gone(lambda: cloud.ec2.delete_volume(VolumeId=volume_id))


VOLUME = ResourceType(
    type="aws:ebs/volume:Volume",
    inputs=names("availabilityZone size type iops throughput encrypted kmsKeyId snapshotId finalSnapshot"),
    required=names("availabilityZone"),
    outputs=names("arn createTime"),
    replaces=names("availabilityZone encrypted kmsKeyId snapshotId"),
    computed=names("size type iops throughput encrypted kmsKeyId snapshotId"),
    defaults={"finalSnapshot": False},
    create=_create_volume,
    read=_read_volume,
    update=lambda cloud, volume_id, old, new, changed: modify_volume(cloud, volume_id, old, new),
    delete=_delete_volume,
    retag=ec2_retag,
)


def _attach(cloud: Cloud, inputs: Properties) -> str:
    arguments = {
        "Device": inputs["deviceName"],
        "InstanceId": inputs["instanceId"],
        "VolumeId": inputs["volumeId"],
    }
    cloud.ec2.attach_volume(**arguments)
    wait_for(cloud, "volume_in_use", VolumeIds=[inputs["volumeId"]])
    key = "-".join((inputs["deviceName"], inputs["instanceId"], inputs["volumeId"])) + "-"
    return f"vai-{int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], 'big')}"


def _read_attachment(cloud: Cloud, attachment_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_volumes(VolumeIds=[state["volumeId"]]))
    for volume in answer["Volumes"] if answer else ():
        for attachment in volume.get("Attachments", ()):
            if attachment["InstanceId"] == state["instanceId"]:
                return {
                    "deviceName": attachment["Device"],
                    "instanceId": attachment["InstanceId"],
                    "volumeId": volume["VolumeId"],
                }
    return None


def _detach(cloud: Cloud, attachment_id: str, state: Properties) -> None:
    if state.get("skipDestroy") or _read_attachment(cloud, attachment_id, state) is None:
        return
    if state.get("stopInstanceBeforeDetaching") and live_instance(cloud, state["instanceId"]) is not None:
        stop_instance(cloud, state["instanceId"])
    gone(
        lambda: cloud.ec2.detach_volume(
            Device=state["deviceName"],
            InstanceId=state["instanceId"],
            VolumeId=state["volumeId"],
            Force=bool(state.get("forceDetach")),
        )
    )
    wait_for(cloud, "volume_available", VolumeIds=[state["volumeId"]])


VOLUME_ATTACHMENT = ResourceType(
    type="aws:ec2/volumeAttachment:VolumeAttachment",
    inputs=names("deviceName instanceId volumeId forceDetach skipDestroy stopInstanceBeforeDetaching"),
    required=names("deviceName instanceId volumeId"),
    replaces=names("deviceName instanceId volumeId"),
    create=_attach,
    read=_read_attachment,
    update=lambda cloud, attachment_id, old, new, changed: None,  # what can change concerns the provider alone
    delete=_detach,
)

RESOURCE_TYPES = (VOLUME, VOLUME_ATTACHMENT)

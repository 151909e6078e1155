"""Instances."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from lab.provider.cloud import Cloud, error_code
from lab.provider.resource_type import Properties, ResourceType, names
from lab.provider.resource_types.calls import found, given, gone, present
from lab.provider.resource_types.ec2 import live_instance, modify_volume, stop_instance, wait_for
from lab.provider.resource_types.tags import ec2_retag, specification, tag_list, tag_map
from lab.provider.values import UNKNOWN

USER_DATA_BYTES = 16_384
"""EC2's limit, before base64: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""


def _run(cloud: Cloud, inputs: Properties) -> str:
    image = cloud.ec2.describe_images(ImageIds=[inputs["ami"]])["Images"][0]
    interface = given(
        DeviceIndex=0,
        SubnetId=inputs.get("subnetId"),
        PrivateIpAddress=inputs.get("privateIp"),
        Groups=inputs.get("vpcSecurityGroupIds"),
        AssociatePublicIpAddress=inputs.get("associatePublicIpAddress"),
        DeleteOnTermination=True,
    )
    answer = cloud.ec2.run_instances(
        **given(
            ImageId=inputs["ami"],
            InstanceType=inputs["instanceType"],
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[interface],
            Placement={"AvailabilityZone": inputs["availabilityZone"]} if "availabilityZone" in inputs else None,
            UserData=_raw_user_data(inputs),
            KeyName=inputs.get("keyName"),
            IamInstanceProfile=_profile(inputs),
            MetadataOptions=_metadata_options(inputs.get("metadataOptions")),
            CreditSpecification=_credits(inputs),
            EbsOptimized=inputs.get("ebsOptimized"),
            DisableApiTermination=inputs.get("disableApiTermination"),
            InstanceInitiatedShutdownBehavior=inputs.get("instanceInitiatedShutdownBehavior"),
            BlockDeviceMappings=_root_mapping(image["RootDeviceName"], inputs.get("rootBlockDevice")),
            TagSpecifications=specification("instance", inputs) or None,
        )
    )
    instance = answer["Instances"][0]
    instance_id = str(instance["InstanceId"])
    wait_for(cloud, "instance_running", InstanceIds=[instance_id])
    root_tags = (inputs.get("rootBlockDevice") or {}).get("tags")
    if root_tags:
        _tag_root(cloud, instance_id, root_tags)
    later = {name for name in ("secondaryPrivateIps",) if inputs.get(name)}
    if inputs["sourceDestCheck"] is False:
        later.add("sourceDestCheck")
    if later:
        _update(cloud, instance_id, {}, inputs, later)
    return instance_id


def _raw_user_data(inputs: Properties) -> bytes | str | None:
    # botocore encodes it itself, so it gets the raw bytes.
    if inputs.get("userDataBase64"):
        return base64.b64decode(inputs["userDataBase64"])
    text: str | None = inputs.get("userData")
    return text


def _profile(inputs: Properties) -> dict[str, str] | None:
    return {"Name": inputs["iamInstanceProfile"]} if inputs.get("iamInstanceProfile") else None


def _credits(inputs: Properties) -> dict[str, str] | None:
    credits_ = (inputs.get("creditSpecification") or {}).get("cpuCredits")
    return {"CpuCredits": credits_} if credits_ else None


def _metadata_options(options: Properties | None) -> dict[str, Any] | None:
    if not options:
        return None
    return given(
        HttpEndpoint=options.get("httpEndpoint"),
        HttpTokens=options.get("httpTokens"),
        HttpPutResponseHopLimit=options.get("httpPutResponseHopLimit"),
        InstanceMetadataTags=options.get("instanceMetadataTags"),
    )


def _root_mapping(device: str, root: Properties | None) -> list[dict[str, Any]] | None:
    if not root:
        return None
    ebs = given(
        VolumeType=root.get("volumeType"),
        VolumeSize=root.get("volumeSize"),
        Iops=root.get("iops"),
        Throughput=root.get("throughput"),
        Encrypted=root.get("encrypted"),
        KmsKeyId=root.get("kmsKeyId"),
        DeleteOnTermination=root.get("deleteOnTermination", True),
    )
    return [{"DeviceName": device, "Ebs": ebs}]


def _root_volume_id(instance: Any) -> str | None:
    for mapping in instance["BlockDeviceMappings"]:
        if mapping["DeviceName"] == instance.get("RootDeviceName"):
            return str(mapping["Ebs"]["VolumeId"])
    return None


def _tag_root(cloud: Cloud, instance_id: str, tags: dict[str, str]) -> None:
    volume_id = _root_volume_id(live_instance(cloud, instance_id))
    if volume_id:
        cloud.ec2.create_tags(Resources=[volume_id], Tags=tag_list(tags))


def _read(cloud: Cloud, instance_id: str, state: Properties) -> Properties | None:
    instance = live_instance(cloud, instance_id)
    if instance is None:
        return None
    interface = instance["NetworkInterfaces"][0]
    profile = instance.get("IamInstanceProfile", {}).get("Arn", "")
    options = instance.get("MetadataOptions", {})
    user_data = found(lambda: cloud.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData"))
    encoded = (user_data or {}).get("UserData", {}).get("Value")
    return present(
        {
            "ami": instance["ImageId"],
            "instanceType": instance["InstanceType"],
            "instanceState": instance["State"]["Name"],
            "availabilityZone": instance["Placement"]["AvailabilityZone"],
            "subnetId": instance["SubnetId"],
            "privateIp": interface["PrivateIpAddress"],
            "secondaryPrivateIps": [
                one["PrivateIpAddress"] for one in interface["PrivateIpAddresses"] if not one["Primary"]
            ],
            "privateDns": instance.get("PrivateDnsName"),
            "publicIp": instance.get("PublicIpAddress", ""),
            "publicDns": instance.get("PublicDnsName", ""),
            "associatePublicIpAddress": bool(interface.get("Association", {}).get("PublicIp")),
            "primaryNetworkInterfaceId": interface["NetworkInterfaceId"],
            "vpcSecurityGroupIds": sorted(group["GroupId"] for group in interface["Groups"]),
            "sourceDestCheck": instance.get("SourceDestCheck", True),
            "iamInstanceProfile": profile.rpartition("/")[2],
            "keyName": instance.get("KeyName"),
            "ebsOptimized": instance.get("EbsOptimized"),
            "metadataOptions": {
                "httpEndpoint": options.get("HttpEndpoint"),
                "httpTokens": options.get("HttpTokens"),
                "httpPutResponseHopLimit": options.get("HttpPutResponseHopLimit"),
                "instanceMetadataTags": options.get("InstanceMetadataTags"),
            },
            "rootBlockDevice": _read_root(cloud, instance),
            "userDataBase64": encoded if state.get("userDataBase64") else None,
            "userData": base64.b64decode(encoded).decode() if encoded and state.get("userData") else None,
            "arn": cloud.arn("ec2", f"instance/{instance_id}"),
        }
    )


def _read_root(cloud: Cloud, instance: Any) -> Properties | None:
    volume_id = _root_volume_id(instance)
    answer = found(lambda: cloud.ec2.describe_volumes(VolumeIds=[volume_id])) if volume_id else None
    if not answer or not answer["Volumes"]:
        return None
    volume = answer["Volumes"][0]
    mapping = next(m for m in instance["BlockDeviceMappings"] if m["Ebs"]["VolumeId"] == volume_id)
    return present(
        {
            "deviceName": mapping["DeviceName"],
            "volumeId": volume_id,
            "volumeSize": volume["Size"],
            "volumeType": volume["VolumeType"],
            "iops": volume.get("Iops"),
            "throughput": volume.get("Throughput"),
            "encrypted": volume["Encrypted"],
            "kmsKeyId": volume.get("KmsKeyId"),
            "deleteOnTermination": mapping["Ebs"]["DeleteOnTermination"],
            "tags": tag_map(volume.get("Tags")),
        }
    )


_WHILE_STOPPED = names("instanceType userData userDataBase64 ebsOptimized")


def _update(cloud: Cloud, instance_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    def modify(**attribute: Any) -> None:
        cloud.ec2.modify_instance_attribute(InstanceId=instance_id, **attribute)

    stopped = changed & _WHILE_STOPPED
    if stopped:
        stop_instance(cloud, instance_id)
        if "instanceType" in changed:
            modify(InstanceType={"Value": new["instanceType"]})
        if changed & {"userData", "userDataBase64"}:
            modify(UserData={"Value": _raw_user_data(new) or b""})
        if "ebsOptimized" in changed:
            modify(EbsOptimized={"Value": new["ebsOptimized"]})
        cloud.ec2.start_instances(InstanceIds=[instance_id])
        wait_for(cloud, "instance_running", InstanceIds=[instance_id])
    if "vpcSecurityGroupIds" in changed:
        modify(Groups=new["vpcSecurityGroupIds"])
    if "sourceDestCheck" in changed:
        modify(SourceDestCheck={"Value": new["sourceDestCheck"]})
    if "disableApiTermination" in changed:
        modify(DisableApiTermination={"Value": new.get("disableApiTermination", False)})
    if "instanceInitiatedShutdownBehavior" in changed:
        modify(InstanceInitiatedShutdownBehavior={"Value": new["instanceInitiatedShutdownBehavior"]})
    if "metadataOptions" in changed:
        options = _metadata_options(new["metadataOptions"]) or {}
        cloud.ec2.modify_instance_metadata_options(InstanceId=instance_id, **options)
    if "iamInstanceProfile" in changed:
        _update_profile(cloud, instance_id, new)
    if "secondaryPrivateIps" in changed:
        _update_secondary(cloud, instance_id, new)
    if "rootBlockDevice" in changed:
        _update_root(cloud, instance_id, old.get("rootBlockDevice") or {}, new["rootBlockDevice"])


def _update_profile(cloud: Cloud, instance_id: str, new: Properties) -> None:
    of_instance = [{"Name": "instance-id", "Values": [instance_id]}]
    associations = cloud.ec2.describe_iam_instance_profile_associations(Filters=of_instance)
    ids = [one["AssociationId"] for one in associations["IamInstanceProfileAssociations"]]
    profile = _profile(new)
    if ids and profile:
        cloud.ec2.replace_iam_instance_profile_association(AssociationId=ids[0], IamInstanceProfile=profile)
    elif ids:
        cloud.ec2.disassociate_iam_instance_profile(AssociationId=ids[0])
    elif profile:
        cloud.ec2.associate_iam_instance_profile(InstanceId=instance_id, IamInstanceProfile=profile)


def _update_secondary(cloud: Cloud, instance_id: str, new: Properties) -> None:
    instance = live_instance(cloud, instance_id)
    interface = instance["NetworkInterfaces"][0] if instance else {}
    now = {one["PrivateIpAddress"] for one in interface["PrivateIpAddresses"] if not one["Primary"]}
    wanted = set(new.get("secondaryPrivateIps") or ())
    eni = interface["NetworkInterfaceId"]
    if now - wanted:
        cloud.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=sorted(now - wanted))
    if wanted - now:
        cloud.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=sorted(wanted - now))


def _update_root(cloud: Cloud, instance_id: str, old: Properties, new: Properties) -> None:
    instance = live_instance(cloud, instance_id)
    volume_id = _root_volume_id(instance)
    if volume_id is None:
        return
    modify_volume(cloud, volume_id, old, new, size="volumeSize", kind="volumeType")
    if "deleteOnTermination" in new and new["deleteOnTermination"] != old.get("deleteOnTermination"):
        cloud.ec2.modify_instance_attribute(
            InstanceId=instance_id,
            BlockDeviceMappings=[
                {
                    "DeviceName": old["deviceName"],
                    "Ebs": {"VolumeId": volume_id, "DeleteOnTermination": new["deleteOnTermination"]},
                }
            ],
        )
    tags, before = new.get("tags") or {}, old.get("tags") or {}
    if tags != before:
        ec2_retag(cloud, volume_id, {}, tags, [key for key in before if key not in tags])


def _terminate(cloud: Cloud, instance_id: str, state: Properties) -> None:
    def end() -> None:
        cloud.ec2.terminate_instances(InstanceIds=[instance_id])
        # Its address and its volumes are not free before it is gone.
        wait_for(cloud, "instance_terminated", InstanceIds=[instance_id])

    gone(end)


def _also_replaces(old: Properties, new: Properties, changed: set[str]) -> set[str]:
    replaces = set()
    if new.get("userDataReplaceOnChange"):
        replaces |= changed & {"userData", "userDataBase64"}
    if "rootBlockDevice" in changed:
        before, after = old.get("rootBlockDevice") or {}, new.get("rootBlockDevice") or {}
        if any(key in after and after[key] != before.get(key) for key in ("encrypted", "kmsKeyId")):
            replaces.add("rootBlockDevice")
    return replaces


def _refuse(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    return [*_refuse_user_data(inputs), *_refuse_machine(cloud, inputs)]


def _refuse_user_data(inputs: Properties) -> list[tuple[str, str]]:
    text, encoded = inputs.get("userData"), inputs.get("userDataBase64")
    if text is not None and encoded is not None:
        return [("userData", "conflicts with userDataBase64")]
    if isinstance(text, str):
        name, size = "userData", len(text.encode())
    elif isinstance(encoded, str):
        name = "userDataBase64"
        try:
            size = len(base64.b64decode(encoded, validate=True))
        except binascii.Error:
            return [(name, "must be base64-encoded")]
    else:
        return []
    if size > USER_DATA_BYTES:
        return [(name, f"user data is limited to {USER_DATA_BYTES} bytes, these are {size}")]
    return []


def _refuse_machine(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    machine, image_id = inputs.get("instanceType"), inputs.get("ami")
    if machine in (None, UNKNOWN):
        return []
    architectures = cloud.remembered(("instance-type", str(machine)), lambda: _architectures(cloud, str(machine)))
    if architectures is None:
        return [("instanceType", f"the instance type {machine} does not exist")]
    if image_id in (None, UNKNOWN):
        return []
    images = cloud.remembered(
        ("image", str(image_id)), lambda: found(lambda: cloud.ec2.describe_images(ImageIds=[image_id]))
    )
    if not images or not images["Images"]:
        return [("ami", f"the image {image_id} does not exist")]
    architecture = images["Images"][0]["Architecture"]
    if architecture not in architectures:
        reason = f"{machine} is {' or '.join(architectures)}, but the image {image_id} is {architecture}"
        return [("instanceType", reason)]
    return []


def _architectures(cloud: Cloud, machine: str) -> list[str] | None:
    try:
        types = cloud.ec2.describe_instance_types(InstanceTypes=[machine])["InstanceTypes"]
    except Exception as error:
        if error_code(error).startswith("InvalidInstanceType"):
            return None
        raise
    return list(types[0]["ProcessorInfo"]["SupportedArchitectures"]) if types else None


INSTANCE = ResourceType(
    type="aws:ec2/instance:Instance",
    inputs=names(
        "ami associatePublicIpAddress availabilityZone creditSpecification disableApiTermination ebsOptimized "
        "iamInstanceProfile instanceInitiatedShutdownBehavior instanceType keyName metadataOptions "
        "privateIp rootBlockDevice secondaryPrivateIps sourceDestCheck subnetId userData userDataBase64 "
        "userDataReplaceOnChange vpcSecurityGroupIds"
    ),
    required=names("ami instanceType"),
    outputs=names("arn instanceState primaryNetworkInterfaceId privateDns publicDns publicIp"),
    replaces=names("ami associatePublicIpAddress availabilityZone ebsOptimized keyName privateIp subnetId"),
    computed=names(
        "associatePublicIpAddress availabilityZone creditSpecification disableApiTermination ebsOptimized "
        "iamInstanceProfile instanceInitiatedShutdownBehavior keyName metadataOptions privateIp "
        "rootBlockDevice secondaryPrivateIps subnetId userData userDataBase64 vpcSecurityGroupIds"
    ),
    defaults={"sourceDestCheck": True, "userDataReplaceOnChange": False},
    sets=names("secondaryPrivateIps vpcSecurityGroupIds"),
    blocks=names("metadataOptions rootBlockDevice"),
    create=_run,
    read=_read,
    update=_update,
    delete=_terminate,
    retag=ec2_retag,
    refuse=_refuse,
    also_replaces=_also_replaces,
)

RESOURCE_TYPES = (INSTANCE,)

"""Launch templates."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Naming, Properties, ResourceType, names
from lab.provider.resource_types.calls import found, given, gone, present
from lab.provider.resource_types.tags import ec2_retag, specification, tag_list, tag_map


def _create(cloud: Cloud, inputs: Properties) -> str:
    answer = cloud.ec2.create_launch_template(
        **given(
            LaunchTemplateName=inputs["name"],
            VersionDescription=inputs.get("description"),
            LaunchTemplateData=_data(inputs),
            TagSpecifications=specification("launch-template", inputs) or None,
        )
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def _update(cloud: Cloud, template_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    answer = cloud.ec2.create_launch_template_version(
        **given(
            LaunchTemplateId=template_id,
            VersionDescription=new.get("description"),
            LaunchTemplateData=_data(new),
        )
    )
    if new.get("updateDefaultVersion"):
        number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        cloud.ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=number)


def _read(cloud: Cloud, template_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_launch_templates(LaunchTemplateIds=[template_id]))
    if not answer or not answer["LaunchTemplates"]:
        return None
    template = answer["LaunchTemplates"][0]
    versions = cloud.ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Latest"])
    version = versions["LaunchTemplateVersions"][0]
    data = version["LaunchTemplateData"]
    return present(
        {
            "name": template["LaunchTemplateName"],
            "description": version.get("VersionDescription"),
            "updateDefaultVersion": state.get("updateDefaultVersion"),
            "imageId": data.get("ImageId"),
            "instanceType": data.get("InstanceType"),
            "iamInstanceProfile": _lower(data.get("IamInstanceProfile")),
            "userData": data.get("UserData"),
            "instanceInitiatedShutdownBehavior": data.get("InstanceInitiatedShutdownBehavior"),
            "metadataOptions": _lower(data.get("MetadataOptions")),
            "creditSpecification": _lower(data.get("CreditSpecification")),
            "networkInterfaces": [_interface_properties(one) for one in data.get("NetworkInterfaces", ())],
            "blockDeviceMappings": [_mapping_properties(one) for one in data.get("BlockDeviceMappings", ())],
            "tagSpecifications": [
                {"resourceType": one["ResourceType"], "tags": tag_map(one["Tags"])}
                for one in data.get("TagSpecifications", ())
                if one["ResourceType"] != "launch-template"  # moto adds the template's own
            ],
            "arn": cloud.arn("ec2", f"launch-template/{template_id}"),
            "latestVersion": template["LatestVersionNumber"],
            "defaultVersion": template["DefaultVersionNumber"],
        }
    )


def _data(inputs: Properties) -> dict[str, Any]:
    """The template, in the form of EC2's API."""
    return given(
        ImageId=inputs.get("imageId"),
        InstanceType=inputs.get("instanceType"),
        IamInstanceProfile=_upper(inputs.get("iamInstanceProfile")),
        UserData=inputs.get("userData"),
        InstanceInitiatedShutdownBehavior=inputs.get("instanceInitiatedShutdownBehavior"),
        MetadataOptions=_upper(inputs.get("metadataOptions")),
        CreditSpecification=_upper(inputs.get("creditSpecification")),
        NetworkInterfaces=[_interface(one) for one in inputs.get("networkInterfaces", ())] or None,
        BlockDeviceMappings=[_mapping(one) for one in inputs.get("blockDeviceMappings", ())] or None,
        TagSpecifications=[
            {"ResourceType": one["resourceType"], "Tags": tag_list(one["tags"])}
            for one in inputs.get("tagSpecifications", ())
        ]
        or None,
    )


def _interface(one: Properties) -> dict[str, Any]:
    return given(
        DeviceIndex=one.get("deviceIndex"),
        SubnetId=one.get("subnetId"),
        PrivateIpAddress=one.get("privateIpAddress"),
        Groups=one.get("securityGroups"),
        AssociatePublicIpAddress=_flag(one.get("associatePublicIpAddress")),
        DeleteOnTermination=_flag(one.get("deleteOnTermination")),
    )


def _interface_properties(one: Any) -> Properties:
    return present(
        {
            "deviceIndex": one.get("DeviceIndex"),
            "subnetId": one.get("SubnetId"),
            "privateIpAddress": one.get("PrivateIpAddress"),
            "securityGroups": one.get("Groups"),
            "associatePublicIpAddress": _word(one.get("AssociatePublicIpAddress")),
            "deleteOnTermination": _word(one.get("DeleteOnTermination")),
        }
    )


def _mapping(one: Properties) -> dict[str, Any]:
    ebs = one.get("ebs") or {}
    volume = given(
        VolumeType=ebs.get("volumeType"),
        VolumeSize=ebs.get("volumeSize"),
        Encrypted=_flag(ebs.get("encrypted")),
        DeleteOnTermination=_flag(ebs.get("deleteOnTermination")),
    )
    return {"DeviceName": one["deviceName"], "Ebs": volume}


def _mapping_properties(one: Any) -> Properties:
    ebs = one["Ebs"]
    volume = present(
        {
            "volumeType": ebs.get("VolumeType"),
            "volumeSize": ebs.get("VolumeSize"),
            "encrypted": _word(ebs.get("Encrypted")),
            "deleteOnTermination": _word(ebs.get("DeleteOnTermination")),
        }
    )
    return {"deviceName": one["DeviceName"], "ebs": volume}


def _flag(word: str | None) -> bool | None:
    """The provider's schema has these flags as texts, to tell `false` from nothing."""
    return None if word is None else word == "true"


def _word(flag: Any) -> str | None:
    return None if flag is None else str(flag).lower()


def _upper(group: Properties | None) -> dict[str, Any] | None:
    return {f"{name[0].upper()}{name[1:]}": value for name, value in group.items()} if group else None


def _lower(group: Any) -> Properties | None:
    return {f"{name[0].lower()}{name[1:]}": value for name, value in group.items()} if group else None


RESOURCE_TYPES = (
    ResourceType(
        type="aws:ec2/launchTemplate:LaunchTemplate",
        inputs=names(
            "name description updateDefaultVersion imageId instanceType iamInstanceProfile userData"
            " instanceInitiatedShutdownBehavior metadataOptions creditSpecification networkInterfaces"
            " blockDeviceMappings tagSpecifications"
        ),
        outputs=names("arn latestVersion defaultVersion"),
        replaces=names("name"),
        blocks=names("iamInstanceProfile metadataOptions creditSpecification"),
        naming=Naming(max_length=125),
        create=_create,
        read=_read,
        update=_update,
        delete=lambda cloud, template_id, state: gone(
            lambda: cloud.ec2.delete_launch_template(LaunchTemplateId=template_id)
        ),
        retag=ec2_retag,
    ),
)

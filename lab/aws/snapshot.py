"""Reads what exists in the lab's AWS, by `describe_*` and `list_*` calls alone: network and hosts follow the API.

An `AwsSnapshot` is a value: when two are equal, nothing has to be done.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from lab.aws.model import (
    ANY_PROTOCOL,
    Attachment,
    AwsSnapshot,
    ElasticIp,
    Instance,
    InstanceState,
    InternetGateway,
    MetadataOptions,
    NatGateway,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    TargetKind,
    Volume,
    VolumeSnapshot,
    Vpc,
    VpcEndpoint,
)
from spec.project import EXAMPLE_ACCOUNT_ID

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef
    from mypy_boto3_iam import IAMClient


@dataclass(frozen=True, slots=True)
class Clients:
    """The boto3 clients that `read_snapshot` needs."""

    ec2: EC2Client
    iam: IAMClient


# Those of images belong to who made the image. moto passes over the parameter OwnerIds.
_OWN: list[FilterTypeDef] = [{"Name": "owner-id", "Values": [EXAMPLE_ACCOUNT_ID]}]


def read_snapshot(clients: Clients) -> AwsSnapshot:
    """What exists now. :raises botocore.exceptions.BotoCoreError: and ClientError, when the API cannot be asked."""
    ec2 = clients.ec2
    return AwsSnapshot(
        vpcs=tuple(
            Vpc(one["VpcId"], IPv4Network(one["CidrBlock"]), one.get("IsDefault", False))
            for one in ec2.describe_vpcs()["Vpcs"]
        ),
        subnets=tuple(
            Subnet(
                id=one["SubnetId"],
                vpc_id=one["VpcId"],
                cidr=IPv4Network(one["CidrBlock"]),
                zone_id=one.get("AvailabilityZoneId", ""),
            )
            for one in ec2.describe_subnets()["Subnets"]
        ),
        route_tables=tuple(_route_table(one) for one in ec2.describe_route_tables()["RouteTables"]),
        internet_gateways=tuple(
            InternetGateway(one["InternetGatewayId"], _first(one.get("Attachments", []), "VpcId"))
            for one in ec2.describe_internet_gateways()["InternetGateways"]
        ),
        nat_gateways=tuple(
            _nat_gateway(one) for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] == "available"
        ),
        elastic_ips=tuple(_elastic_ip(one) for one in ec2.describe_addresses()["Addresses"]),
        security_groups=tuple(_security_group(one) for one in ec2.describe_security_groups()["SecurityGroups"]),
        endpoints=tuple(
            VpcEndpoint(id=one["VpcEndpointId"], route_table_ids=tuple(one.get("RouteTableIds", ())))
            for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]
            if one["State"].lower() == "available"
        ),
        prefix_lists={one["PrefixListId"]: one["PrefixListName"] for one in ec2.describe_prefix_lists()["PrefixLists"]},
        instances=_instances(clients),
        volumes=tuple(_volume(one) for one in ec2.describe_volumes()["Volumes"]),
        volume_snapshots=tuple(
            VolumeSnapshot(id=one["SnapshotId"], volume_id=one["VolumeId"])
            for one in ec2.describe_snapshots(Filters=_OWN)["Snapshots"]
            if one["State"] != "error"
        ),
    )


def _instances(clients: Clients) -> tuple[Instance, ...]:
    """All instances in launch order, with the role of their instance profile."""
    roles = {
        profile["Arn"]: profile["Roles"][0]["RoleName"]
        for page in clients.iam.get_paginator("list_instance_profiles").paginate()
        for profile in page["InstanceProfiles"]
        if profile["Roles"]
    }
    found = [
        _instance(one, roles)
        for page in clients.ec2.get_paginator("describe_instances").paginate()
        for reservation in page["Reservations"]
        for one in reservation["Instances"]
    ]
    return tuple(sorted(found, key=lambda one: (one.launch_time, one.launch_index)))


def read_user_data(clients: Clients, instance_id: str) -> bytes:
    """The raw user data of an instance (empty when it has none), as its metadata service gives it."""
    answer = clients.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    return base64.b64decode(answer.get("UserData", {}).get("Value", "") or "")


def _tags(items: Sequence[Any] | None) -> dict[str, str]:
    """EC2's list of Key/Value pairs as a dictionary."""
    return {one["Key"]: one["Value"] for one in items or ()}


def _first(items: Sequence[Any], key: str) -> str | None:
    return next((one[key] for one in items if one.get(key)), None)


def _address(text: str | None) -> IPv4Address | None:
    return IPv4Address(text) if text else None


def _instance(one: Any, roles: Mapping[str, str]) -> Instance:
    state = InstanceState(one["State"]["Name"])
    # On AWS a terminated instance has no interface; moto still lists one whose address is free for others.
    gone = state is InstanceState.TERMINATED
    interfaces = [] if gone else sorted(one.get("NetworkInterfaces", ()), key=_device_index)
    primary = interfaces[0] if interfaces else {}
    options = one.get("MetadataOptions", {})
    profile_arn = one.get("IamInstanceProfile", {}).get("Arn")
    return Instance(
        id=one["InstanceId"],
        state=state,
        tags=_tags(one.get("Tags")),
        instance_type=one["InstanceType"],
        architecture=one["Architecture"],
        image_id=one["ImageId"],
        vpc_id=one.get("VpcId", ""),
        subnet_id=one.get("SubnetId", ""),
        zone=one["Placement"]["AvailabilityZone"],
        eni_id=primary.get("NetworkInterfaceId", ""),
        mac=primary.get("MacAddress", ""),
        private_ip=_address(primary.get("PrivateIpAddress")),
        secondary_ips=tuple(
            IPv4Address(address["PrivateIpAddress"])
            for address in primary.get("PrivateIpAddresses", ())
            if not address["Primary"]
        ),
        public_ip=_address(primary.get("Association", {}).get("PublicIp")),
        security_group_ids=tuple(sorted(group["GroupId"] for group in primary.get("Groups", ()))),
        source_dest_check=primary.get("SourceDestCheck", True) and one.get("SourceDestCheck", True),
        profile_arn=profile_arn,
        role_name=roles.get(profile_arn) if profile_arn else None,
        launch_time=one["LaunchTime"].isoformat(),
        launch_index=one.get("AmiLaunchIndex", 0),
        metadata=MetadataOptions(
            enabled=options.get("HttpEndpoint", "enabled") == "enabled",
            tokens_required=options.get("HttpTokens", "optional") == "required",
            tags=options.get("InstanceMetadataTags", "disabled") == "enabled",
        ),
    )


def _device_index(interface: Any) -> int:
    return int(interface.get("Attachment", {}).get("DeviceIndex", 0))


_TARGETS = (
    ("NatGatewayId", TargetKind.NAT_GATEWAY),
    ("NetworkInterfaceId", TargetKind.NETWORK_INTERFACE),
)


def _route(one: Any) -> Route:
    cidr = IPv4Network(one["DestinationCidrBlock"]) if one.get("DestinationCidrBlock") else None
    prefix_list_id = one.get("DestinationPrefixListId") or None
    kind, target = TargetKind.BLACKHOLE, ""
    gateway = one.get("GatewayId") or ""
    if one.get("State") == "blackhole":
        pass
    elif gateway == "local":
        kind, target = TargetKind.LOCAL, "local"
    elif gateway.startswith("igw-"):
        kind, target = TargetKind.INTERNET_GATEWAY, gateway
    elif gateway.startswith("vpce-"):
        kind, target = TargetKind.VPC_ENDPOINT, gateway
    else:
        for key, target_kind in _TARGETS:
            if one.get(key):
                kind, target = target_kind, one[key]
    return Route(cidr=cidr, prefix_list_id=prefix_list_id, kind=kind, target_id=target)


def _route_table(one: Any) -> RouteTable:
    associations = one.get("Associations", ())
    return RouteTable(
        id=one["RouteTableId"],
        vpc_id=one["VpcId"],
        main=any(item.get("Main") for item in associations),
        subnet_ids=tuple(sorted(item["SubnetId"] for item in associations if item.get("SubnetId"))),
        routes=tuple(_route(item) for item in one.get("Routes", ()) if not item.get("DestinationIpv6CidrBlock")),
    )


def _nat_gateway(one: Any) -> NatGateway:
    address = one["NatGatewayAddresses"][0]
    return NatGateway(
        id=one["NatGatewayId"],
        subnet_id=one["SubnetId"],
        public_ip=_address(address.get("PublicIp")),
    )


def _elastic_ip(one: Any) -> ElasticIp:
    return ElasticIp(
        public_ip=IPv4Address(one["PublicIp"]),
        private_ip=_address(one.get("PrivateIpAddress")),
        instance_id=one.get("InstanceId") or None,
        tags=_tags(one.get("Tags")),
    )


def _rules(permissions: Sequence[Any]) -> tuple[Rule, ...]:
    found = []
    for one in permissions:
        protocol = one["IpProtocol"]
        ports: tuple[int | None, int | None] = (one.get("FromPort"), one.get("ToPort"))
        if protocol == ANY_PROTOCOL or ports == (-1, -1):
            ports = (None, None)
        for peer in one.get("IpRanges", ()):
            found.append(Rule(protocol, *ports, cidr=peer["CidrIp"]))
        for peer in one.get("UserIdGroupPairs", ()):
            found.append(Rule(protocol, *ports, group_id=peer["GroupId"]))
        for peer in one.get("PrefixListIds", ()):
            found.append(Rule(protocol, *ports, prefix_list_id=peer["PrefixListId"]))
    return tuple(sorted(found, key=repr))


def _security_group(one: Any) -> SecurityGroup:
    return SecurityGroup(
        id=one["GroupId"],
        ingress=_rules(one.get("IpPermissions", ())),
        egress=_rules(one.get("IpPermissionsEgress", ())),
    )


def _volume(one: Any) -> Volume:
    attachment = None
    for item in one.get("Attachments", ()):
        if item.get("State") in ("attached", "attaching"):
            attachment = Attachment(instance_id=item["InstanceId"], device=item["Device"])
    return Volume(
        id=one["VolumeId"],
        size_gib=one["Size"],
        tags=_tags(one.get("Tags")),
        attachment=attachment,
        snapshot_id=one.get("SnapshotId") or None,
    )

"""VPCs, subnets, gateways, endpoints and Elastic IPs."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Properties, ResourceType, names
from lab.provider.resource_types.calls import found, given, gone, present
from lab.provider.resource_types.tags import ec2_retag, specification
from spec.project import EXAMPLE_ACCOUNT_ID

# --- VPC


def _create_vpc(cloud: Cloud, inputs: Properties) -> str:
    vpc = cloud.ec2.create_vpc(
        CidrBlock=inputs["cidrBlock"],
        InstanceTenancy=inputs["instanceTenancy"],
        TagSpecifications=specification("vpc", inputs),
    )["Vpc"]
    wanted = set(inputs) & names("enableDnsSupport enableDnsHostnames")
    _update_vpc(cloud, vpc["VpcId"], {}, inputs, wanted)
    return str(vpc["VpcId"])


def _update_vpc(cloud: Cloud, vpc_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    for name in sorted(changed):
        attribute = name[0].upper() + name[1:]
        cloud.ec2.modify_vpc_attribute(VpcId=vpc_id, **{attribute: {"Value": bool(new.get(name, False))}})


def _read_vpc(cloud: Cloud, vpc_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_vpcs(VpcIds=[vpc_id]))
    if not answer or not answer["Vpcs"]:
        return None
    vpc = answer["Vpcs"][0]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = cloud.ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    main = next((t["RouteTableId"] for t in tables if any(a.get("Main") for a in t["Associations"])), None)
    groups = cloud.ec2.describe_security_groups(Filters=[*of_vpc, {"Name": "group-name", "Values": ["default"]}])[
        "SecurityGroups"
    ]
    acls = cloud.ec2.describe_network_acls(Filters=[*of_vpc, {"Name": "default", "Values": ["true"]}])
    return present(
        {
            "cidrBlock": vpc["CidrBlock"],
            "instanceTenancy": vpc.get("InstanceTenancy"),
            "enableDnsSupport": _vpc_attribute(cloud, vpc_id, "enableDnsSupport"),
            "enableDnsHostnames": _vpc_attribute(cloud, vpc_id, "enableDnsHostnames"),
            "arn": cloud.arn("ec2", f"vpc/{vpc_id}"),
            "mainRouteTableId": main,
            "defaultRouteTableId": main,
            "defaultSecurityGroupId": groups[0]["GroupId"] if groups else None,
            "defaultNetworkAclId": next((a["NetworkAclId"] for a in acls["NetworkAcls"]), None),
            "dhcpOptionsId": vpc.get("DhcpOptionsId"),
            "ownerId": EXAMPLE_ACCOUNT_ID,
        }
    )


def _vpc_attribute(cloud: Cloud, vpc_id: str, name: str) -> bool:
    answer = cloud.ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)
    return bool(answer[name[0].upper() + name[1:]]["Value"])


VPC = ResourceType(
    type="aws:ec2/vpc:Vpc",
    inputs=names("cidrBlock enableDnsHostnames enableDnsSupport instanceTenancy"),
    required=names("cidrBlock"),
    outputs=names(
        "arn defaultNetworkAclId defaultRouteTableId defaultSecurityGroupId dhcpOptionsId mainRouteTableId ownerId"
    ),
    replaces=names("cidrBlock instanceTenancy"),
    computed=names("enableDnsHostnames"),
    defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
    create=_create_vpc,
    read=_read_vpc,
    update=_update_vpc,
    delete=lambda cloud, vpc_id, state: gone(lambda: cloud.ec2.delete_vpc(VpcId=vpc_id)),
    retag=ec2_retag,
)

# --- Subnet


def _create_subnet(cloud: Cloud, inputs: Properties) -> str:
    subnet = cloud.ec2.create_subnet(
        **given(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs.get("availabilityZone"),
            TagSpecifications=specification("subnet", inputs),
        )
    )["Subnet"]
    if inputs["mapPublicIpOnLaunch"]:
        _update_subnet(cloud, subnet["SubnetId"], {}, inputs, {"mapPublicIpOnLaunch"})
    return str(subnet["SubnetId"])


def _update_subnet(cloud: Cloud, subnet_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    cloud.ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": new["mapPublicIpOnLaunch"]})


def _read_subnet(cloud: Cloud, subnet_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_subnets(SubnetIds=[subnet_id]))
    if not answer or not answer["Subnets"]:
        return None
    subnet = answer["Subnets"][0]
    return {
        "vpcId": subnet["VpcId"],
        "cidrBlock": subnet["CidrBlock"],
        "availabilityZone": subnet["AvailabilityZone"],
        "availabilityZoneId": subnet["AvailabilityZoneId"],
        "mapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"],
        "arn": subnet["SubnetArn"],
        "ownerId": EXAMPLE_ACCOUNT_ID,
    }


SUBNET = ResourceType(
    type="aws:ec2/subnet:Subnet",
    inputs=names("vpcId cidrBlock availabilityZone mapPublicIpOnLaunch"),
    required=names("vpcId cidrBlock"),
    outputs=names("arn ownerId availabilityZoneId"),
    replaces=names("vpcId cidrBlock availabilityZone"),
    computed=names("availabilityZone"),
    defaults={"mapPublicIpOnLaunch": False},
    create=_create_subnet,
    read=_read_subnet,
    update=_update_subnet,
    delete=lambda cloud, subnet_id, state: gone(lambda: cloud.ec2.delete_subnet(SubnetId=subnet_id)),
    retag=ec2_retag,
)

# --- Internet gateway


def _create_internet_gateway(cloud: Cloud, inputs: Properties) -> str:
    gateway = cloud.ec2.create_internet_gateway(TagSpecifications=specification("internet-gateway", inputs))
    gateway_id = str(gateway["InternetGateway"]["InternetGatewayId"])
    if inputs.get("vpcId"):
        cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=inputs["vpcId"])
    return gateway_id


def _update_internet_gateway(
    cloud: Cloud, gateway_id: str, old: Properties, new: Properties, changed: set[str]
) -> None:
    if old.get("vpcId"):
        gone(lambda: cloud.ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=old["vpcId"]))
    if new.get("vpcId"):
        cloud.ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=new["vpcId"])


def _read_internet_gateway(cloud: Cloud, gateway_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_internet_gateways(InternetGatewayIds=[gateway_id]))
    if not answer or not answer["InternetGateways"]:
        return None
    attachments = answer["InternetGateways"][0].get("Attachments", [])
    return present(
        {
            "vpcId": attachments[0]["VpcId"] if attachments else None,
            "arn": cloud.arn("ec2", f"internet-gateway/{gateway_id}"),
            "ownerId": EXAMPLE_ACCOUNT_ID,
        }
    )


def _delete_internet_gateway(cloud: Cloud, gateway_id: str, state: Properties) -> None:
    _update_internet_gateway(cloud, gateway_id, state, {}, {"vpcId"})
    gone(lambda: cloud.ec2.delete_internet_gateway(InternetGatewayId=gateway_id))


INTERNET_GATEWAY = ResourceType(
    type="aws:ec2/internetGateway:InternetGateway",
    inputs=names("vpcId"),
    outputs=names("arn ownerId"),
    computed=names("vpcId"),
    create=_create_internet_gateway,
    read=_read_internet_gateway,
    update=_update_internet_gateway,
    delete=_delete_internet_gateway,
    retag=ec2_retag,
)

# --- NAT gateway


def _create_nat_gateway(cloud: Cloud, inputs: Properties) -> str:
    gateway = cloud.ec2.create_nat_gateway(
        **given(
            SubnetId=inputs["subnetId"],
            AllocationId=inputs.get("allocationId"),
            ConnectivityType=inputs["connectivityType"],
            PrivateIpAddress=inputs.get("privateIp"),
            TagSpecifications=specification("natgateway", inputs),
        )
    )
    return str(gateway["NatGateway"]["NatGatewayId"])


def _read_nat_gateway(cloud: Cloud, gateway_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_nat_gateways(NatGatewayIds=[gateway_id]))
    if not answer or not answer["NatGateways"] or answer["NatGateways"][0]["State"] == "deleted":
        return None
    gateway = answer["NatGateways"][0]
    address = gateway["NatGatewayAddresses"][0]
    return present(
        {
            "subnetId": gateway["SubnetId"],
            "allocationId": address.get("AllocationId"),
            "privateIp": address["PrivateIp"],
            "connectivityType": gateway.get("ConnectivityType", "public"),
            "publicIp": address.get("PublicIp"),
            "associationId": address.get("AssociationId"),
            "networkInterfaceId": address["NetworkInterfaceId"],
        }
    )


NAT_GATEWAY = ResourceType(
    type="aws:ec2/natGateway:NatGateway",
    inputs=names("subnetId allocationId privateIp connectivityType"),
    required=names("subnetId"),
    outputs=names("publicIp associationId networkInterfaceId"),
    replaces=names("subnetId allocationId privateIp connectivityType"),
    computed=names("privateIp"),
    defaults={"connectivityType": "public"},
    create=_create_nat_gateway,
    read=_read_nat_gateway,
    delete=lambda cloud, gateway_id, state: gone(lambda: cloud.ec2.delete_nat_gateway(NatGatewayId=gateway_id)),
    retag=ec2_retag,
)

# --- Gateway endpoint


def _create_endpoint(cloud: Cloud, inputs: Properties) -> str:
    endpoint = cloud.ec2.create_vpc_endpoint(
        **given(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs["vpcEndpointType"],
            RouteTableIds=inputs.get("routeTableIds"),
            PolicyDocument=inputs.get("policy"),
            TagSpecifications=specification("vpc-endpoint", inputs),
        )
    )
    return str(endpoint["VpcEndpoint"]["VpcEndpointId"])


def _update_endpoint(cloud: Cloud, endpoint_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    before, after = set(old.get("routeTableIds") or ()), set(new.get("routeTableIds") or ())
    cloud.ec2.modify_vpc_endpoint(
        **given(
            VpcEndpointId=endpoint_id,
            AddRouteTableIds=sorted(after - before) or None,
            RemoveRouteTableIds=sorted(before - after) or None,
            PolicyDocument=new.get("policy") if "policy" in changed else None,
        )
    )


def _read_endpoint(cloud: Cloud, endpoint_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint_id]))
    if not answer or not answer["VpcEndpoints"] or answer["VpcEndpoints"][0]["State"].lower() == "deleted":
        return None
    endpoint = answer["VpcEndpoints"][0]
    lists = cloud.ec2.describe_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": [endpoint["ServiceName"]]}]
    )["PrefixLists"]
    prefix_list: dict[str, Any] = next((one for one in lists if one["PrefixListName"] == endpoint["ServiceName"]), {})
    return present(
        {
            "vpcId": endpoint["VpcId"],
            "serviceName": endpoint["ServiceName"],
            "vpcEndpointType": endpoint.get("VpcEndpointType", "Gateway"),
            "routeTableIds": endpoint.get("RouteTableIds"),
            "policy": endpoint.get("PolicyDocument"),
            "state": endpoint["State"],
            "prefixListId": prefix_list.get("PrefixListId"),
            "cidrBlocks": prefix_list.get("Cidrs"),
            "arn": cloud.arn("ec2", f"vpc-endpoint/{endpoint_id}"),
            "ownerId": EXAMPLE_ACCOUNT_ID,
        }
    )


def _refuse_endpoint(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    if inputs.get("vpcEndpointType", "Gateway") != "Gateway":
        return [("vpcEndpointType", "the lab has gateway endpoints only")]
    return []


VPC_ENDPOINT = ResourceType(
    type="aws:ec2/vpcEndpoint:VpcEndpoint",
    inputs=names("vpcId serviceName vpcEndpointType routeTableIds policy"),
    required=names("vpcId"),
    outputs=names("arn cidrBlocks ownerId prefixListId state"),
    replaces=names("vpcId serviceName vpcEndpointType"),
    computed=names("routeTableIds policy"),
    defaults={"vpcEndpointType": "Gateway"},
    documents=names("policy"),
    sets=names("routeTableIds"),
    create=_create_endpoint,
    read=_read_endpoint,
    update=_update_endpoint,
    delete=lambda cloud, endpoint_id, state: gone(lambda: cloud.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint_id])),
    retag=ec2_retag,
    refuse=_refuse_endpoint,
)

# --- Elastic IP and its association


def _create_eip(cloud: Cloud, inputs: Properties) -> str:
    address = cloud.ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip", inputs))
    return str(address["AllocationId"])


def _address(cloud: Cloud, allocation_id: str) -> Any | None:
    answer = found(lambda: cloud.ec2.describe_addresses(AllocationIds=[allocation_id]))
    return answer["Addresses"][0] if answer and answer["Addresses"] else None


def _read_eip(cloud: Cloud, allocation_id: str, state: Properties) -> Properties | None:
    address = _address(cloud, allocation_id)
    if address is None:
        return None
    public = address["PublicIp"]
    return present(
        {
            "domain": address["Domain"],
            "allocationId": allocation_id,
            "publicIp": public,
            "publicDns": f"ec2-{public.replace('.', '-')}.compute-1.amazonaws.com",
            "associationId": address.get("AssociationId"),
            "privateIp": address.get("PrivateIpAddress"),
            "instance": address.get("InstanceId"),
            "networkInterface": address.get("NetworkInterfaceId"),
            "arn": cloud.arn("ec2", f"elastic-ip/{allocation_id}"),
        }
    )


EIP = ResourceType(
    type="aws:ec2/eip:Eip",
    inputs=names("domain"),
    outputs=names("allocationId arn associationId instance networkInterface privateIp publicDns publicIp"),
    replaces=names("domain"),
    computed=names("domain"),
    create=_create_eip,
    read=_read_eip,
    delete=lambda cloud, allocation_id, state: gone(lambda: cloud.ec2.release_address(AllocationId=allocation_id)),
    retag=ec2_retag,
)


def _create_eip_association(cloud: Cloud, inputs: Properties) -> str:
    answer = cloud.ec2.associate_address(
        **given(
            AllocationId=inputs.get("allocationId"),
            InstanceId=inputs.get("instanceId"),
            NetworkInterfaceId=inputs.get("networkInterfaceId"),
            PrivateIpAddress=inputs.get("privateIpAddress"),
            AllowReassociation=inputs.get("allowReassociation"),
        )
    )
    return str(answer["AssociationId"])


def _read_eip_association(cloud: Cloud, association_id: str, state: Properties) -> Properties | None:
    addresses = cloud.ec2.describe_addresses(Filters=[{"Name": "association-id", "Values": [association_id]}])
    if not addresses["Addresses"]:
        return None
    address = addresses["Addresses"][0]
    return present(
        {
            "allocationId": address["AllocationId"],
            "instanceId": address.get("InstanceId"),
            "networkInterfaceId": address.get("NetworkInterfaceId"),
            "privateIpAddress": address.get("PrivateIpAddress"),
            "publicIp": address["PublicIp"],
        }
    )


EIP_ASSOCIATION = ResourceType(
    type="aws:ec2/eipAssociation:EipAssociation",
    inputs=names("allocationId allowReassociation instanceId networkInterfaceId privateIpAddress publicIp"),
    required=names("allocationId"),
    replaces=names("allocationId allowReassociation instanceId networkInterfaceId privateIpAddress publicIp"),
    computed=names("instanceId networkInterfaceId privateIpAddress publicIp"),
    create=_create_eip_association,
    read=_read_eip_association,
    delete=lambda cloud, association_id, state: gone(
        lambda: cloud.ec2.disassociate_address(AssociationId=association_id)
    ),
)

RESOURCE_TYPES = (VPC, SUBNET, INTERNET_GATEWAY, NAT_GATEWAY, VPC_ENDPOINT, EIP, EIP_ASSOCIATION)

"""A small snapshot: two subnets, a NAT gateway, an S3 endpoint, a load balancer and an application host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from lab.aws.model import (
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
    Vpc,
    VpcEndpoint,
)

EVERYWHERE = IPv4Network("0.0.0.0/0")
OPEN = (Rule("-1", None, None, cidr="0.0.0.0/0"),)
PUBLIC = Subnet("subnet-pub", "vpc-1", IPv4Network("10.20.0.0/24"))
PRIVATE = Subnet("subnet-prv", "vpc-1", IPv4Network("10.20.10.0/24"))


def host(
    instance_id: str, address: str, subnet: Subnet, *groups: str, secondary: tuple[str, ...] = (), check: bool = True
) -> Instance:
    """A running instance."""
    return Instance(
        id=instance_id,
        state=InstanceState.RUNNING,
        tags={"ha:host": instance_id.removeprefix("i-")},
        instance_type="t3.micro",
        architecture="x86_64",
        image_id="ami-1",
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        zone="us-east-1a",
        eni_id=f"eni-{instance_id}",
        mac="02:00:00:00:00:01",
        private_ip=IPv4Address(address),
        secondary_ips=tuple(map(IPv4Address, secondary)),
        public_ip=None,
        security_group_ids=groups,
        source_dest_check=check,
        profile_arn=None,
        role_name=None,
        launch_time="2026-01-01T00:00:00+00:00",
        launch_index=0,
        metadata=MetadataOptions(enabled=True, tokens_required=True, tags=True),
    )


def snapshot() -> AwsSnapshot:
    """The small snapshot."""
    return AwsSnapshot(
        vpcs=(Vpc("vpc-1", IPv4Network("10.20.0.0/16"), False),),
        subnets=(PUBLIC, PRIVATE),
        route_tables=(
            RouteTable(
                "rtb-pub",
                "vpc-1",
                True,
                ("subnet-pub",),
                (
                    Route(IPv4Network("10.20.0.0/16"), None, TargetKind.LOCAL, "local"),
                    Route(EVERYWHERE, None, TargetKind.INTERNET_GATEWAY, "igw-1"),
                ),
            ),
            RouteTable(
                "rtb-prv",
                "vpc-1",
                False,
                ("subnet-prv",),
                (
                    Route(EVERYWHERE, None, TargetKind.NAT_GATEWAY, "nat-1"),
                    Route(None, "pl-s3", TargetKind.VPC_ENDPOINT, "vpce-1"),
                ),
            ),
        ),
        internet_gateways=(InternetGateway("igw-1", "vpc-1"),),
        nat_gateways=(NatGateway("nat-1", "subnet-pub", IPv4Address("203.0.113.11")),),
        elastic_ips=(
            ElasticIp(IPv4Address("203.0.113.10"), IPv4Address("10.20.0.10"), "i-lb1"),
            ElasticIp(IPv4Address("203.0.113.11"), IPv4Address("10.20.0.254"), None),
        ),
        security_groups=(
            SecurityGroup("sg-lb", (Rule("tcp", 80, 80, cidr="0.0.0.0/0"),), OPEN),
            SecurityGroup("sg-app", (Rule("tcp", 5000, 5000, group_id="sg-lb"),), OPEN),
        ),
        endpoints=(VpcEndpoint("vpce-1", ("rtb-prv",)),),
        prefix_lists={"pl-s3": "com.amazonaws.us-east-1.s3"},
        instances=(host("i-lb1", "10.20.0.10", PUBLIC, "sg-lb"), host("i-app1", "10.20.10.10", PRIVATE, "sg-app")),
    )


def with_route(one: AwsSnapshot, table_id: str, *routes: Route) -> AwsSnapshot:
    """The snapshot with other routes in one table."""
    tables = tuple(replace(t, routes=routes) if t.id == table_id else t for t in one.route_tables)
    return replace(one, route_tables=tables)

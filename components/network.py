"""The VPC: public and private subnets in every zone, routes to the internet, and nothing open by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from spec.addresses import SubnetPlan, nat_gateway_address, nat_zone_indexes
from spec.flows import ANYWHERE


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """The inputs of a network."""

    stack: str
    region: str
    cidr: IPv4Network
    subnets: Sequence[SubnetPlan]
    nat_gateways: int


class Network(Component):
    """A VPC with its subnets, routes, internet gateway, NAT gateways and the gateway endpoint of S3.

    Private subnets use the NAT gateway of their zone, or the one in the monitor's zone if theirs has none. The endpoint
    makes S3 reachable without NAT charges and without depending on the NAT gateway. The default security group has no
    rules.

    Attributes: `vpc_id`; `subnet_ids` by (zone index, public); `egress_dependencies`: what must exist before a host
    can reach the internet.
    """

    token: ClassVar[str] = "ha:network:Network"

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        self._name = name
        self._args = args
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(args.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self.tags("vpc"),
            opts=self.child(),
        )
        self.vpc_id: pulumi.Output[str] = vpc.id
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=vpc.id, tags=self.tags("unused"), opts=self.child())
        self._subnets = {(s.zone_index, s.public): self._subnet(s) for s in args.subnets}
        self.subnet_ids: dict[tuple[int, bool], pulumi.Output[str]] = {key: s.id for key, s in self._subnets.items()}
        self.egress_dependencies: list[pulumi.Resource] = []
        public_table = self._public_routes()
        private_tables = self._private_routes()
        endpoint = aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[t.id for t in (public_table, *private_tables)],
            tags=self.tags("s3"),
            opts=self.child(),
        )
        self.egress_dependencies.append(endpoint)
        self.register_outputs({"vpc_id": self.vpc_id})

    def _subnet(self, plan: SubnetPlan) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self._name}-{plan.name}",
            vpc_id=self.vpc_id,
            cidr_block=str(plan.cidr),
            availability_zone=plan.zone,
            map_public_ip_on_launch=False,
            tags=self.tags(plan.name),
            opts=self.child(),
        )

    def _public_routes(self) -> aws.ec2.RouteTable:
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags=self.tags("internet"), opts=self.child()
        )
        table = self._table("public")
        route = aws.ec2.Route(
            f"{self._name}-public-out",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self.child(),
        )
        self.egress_dependencies.append(route)
        for plan in self._plans(public=True):
            self._associate(plan, table)
        return table

    def _private_routes(self) -> list[aws.ec2.RouteTable]:
        public = self._plans(public=True)
        zones = nat_zone_indexes(len(public), self._args.nat_gateways)
        gateways = {index: self._nat_gateway(public[index]) for index in zones}
        tables = []
        for plan in self._plans(public=False):
            table = self._table(plan.name)
            gateway = gateways.get(plan.zone_index, gateways[zones[0]])
            route = aws.ec2.Route(
                f"{self._name}-{plan.name}-out",
                route_table_id=table.id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateway.id,
                opts=self.child(),
            )
            self.egress_dependencies.append(route)
            self._associate(plan, table)
            tables.append(table)
        return tables

    def _nat_gateway(self, plan: SubnetPlan) -> aws.ec2.NatGateway:
        name = f"nat-{plan.zone}"
        address = aws.ec2.Eip(f"{self._name}-{name}", domain="vpc", tags=self.tags(name), opts=self.child())
        return aws.ec2.NatGateway(
            f"{self._name}-{name}",
            subnet_id=self._subnets[plan.zone_index, True].id,
            allocation_id=address.id,
            private_ip=str(nat_gateway_address(plan)),
            tags=self.tags(name),
            # Without a route to the internet, a NAT gateway is created in state `failed`.
            opts=self.child(
                pulumi.ResourceOptions(depends_on=list(self.egress_dependencies), delete_before_replace=True)
            ),
        )

    def _table(self, name: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(f"{self._name}-{name}", vpc_id=self.vpc_id, tags=self.tags(name), opts=self.child())

    def _associate(self, plan: SubnetPlan, table: aws.ec2.RouteTable) -> None:
        association = aws.ec2.RouteTableAssociation(
            f"{self._name}-{plan.name}",
            subnet_id=self._subnets[plan.zone_index, plan.public].id,
            route_table_id=table.id,
            opts=self.child(),
        )
        self.egress_dependencies.append(association)

    def _plans(self, *, public: bool) -> list[SubnetPlan]:
        return [s for s in self._args.subnets if s.public is public]

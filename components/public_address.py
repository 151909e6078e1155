"""The estate's public address, and the addresses of its load balancers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from spec.addresses import HostPlan
from spec.tags import PUBLIC_ADDRESS
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class PublicAddressArgs:
    """`protect` prevents the release of the address, to which the site's DNS name points."""

    stack: str
    protect: bool


class PublicAddress(Component):
    """The Elastic IP that visitors know. Created before the load balancers, which may associate it themselves, and
    released after they are deleted.

    Attributes: `address`, `allocation`.
    """

    token: ClassVar[str] = "ha:publicaddress:PublicAddress"

    def __init__(self, name: str, args: PublicAddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        self.allocation = aws.ec2.Eip(
            f"{name}-address",
            domain="vpc",
            tags=self.tags(PUBLIC_ADDRESS, tier=Tier.LB),
            opts=self.child(pulumi.ResourceOptions(protect=args.protect)),
        )
        self.address: pulumi.Output[str] = self.allocation.public_ip
        self.register_outputs({"address": self.address})


@dataclass(frozen=True, kw_only=True)
class LoadBalancerAddressArgs:
    """`alone`: whether the estate has no other load balancer."""

    stack: str
    public: PublicAddress
    plan: HostPlan
    instance_id: pulumi.Output[str]
    alone: bool


class LoadBalancerAddress(Component):
    """The Elastic IP that is associated with a load balancer.

    A single load balancer has the estate's public address. With two, the active one associates that address with itself
    at any time, so this component does not: each has an address of its own instead, by which it reaches the API. That
    is an Elastic IP too: after a stop, AWS assigns no public address to a host that has another Elastic IP.
    Attribute: `association`.
    """

    token: ClassVar[str] = "ha:loadbalanceraddress:LoadBalancerAddress"

    def __init__(self, name: str, args: LoadBalancerAddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        plan = args.plan
        tags = self.tags(f"{plan.name}-own", tier=plan.tier, host=plan.name)
        own = None if args.alone else aws.ec2.Eip(name, domain="vpc", tags=tags, opts=self.child())
        self.association = aws.ec2.EipAssociation(
            name,
            allocation_id=(own or args.public.allocation).id,
            instance_id=args.instance_id,
            private_ip_address=str(plan.address) if own else None,
            opts=self.child(pulumi.ResourceOptions(delete_before_replace=True)),
        )
        self.register_outputs({})

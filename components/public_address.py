"""The estate's public address, and the addresses of its load balancers."""

from __future__ import annotations

from collections.abc import Mapping
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
class LoadBalancerAddressesArgs:
    """`instances`: the load balancers' instance ids by their plans."""

    stack: str
    public: PublicAddress
    instances: Mapping[HostPlan, pulumi.Output[str]]


class LoadBalancerAddresses(Component):
    """The Elastic IPs that are associated with the load balancers.

    A single load balancer has the estate's public address. With two, the active one associates that address with itself
    at any time, so this component does not: each has an address of its own instead, by which it reaches the API. That
    is an Elastic IP too: after a stop, AWS assigns no public address to a host that has another Elastic IP.
    """

    token: ClassVar[str] = "ha:answering:Answering"  # its first name, which estates have in their state

    def __init__(self, name: str, args: LoadBalancerAddressesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        alone = len(args.instances) == 1
        for plan, instance_id in args.instances.items():
            address = args.public.allocation if alone else self._own(name, plan)
            aws.ec2.EipAssociation(
                f"{name}-{plan.name}",
                allocation_id=address.id,
                instance_id=instance_id,
                private_ip_address=None if alone else str(plan.address),
                opts=self.child(pulumi.ResourceOptions(delete_before_replace=True)),
            )
        self.register_outputs({})

    def _own(self, name: str, plan: HostPlan) -> aws.ec2.Eip:
        tags = self.tags(f"{plan.name}-own", tier=plan.tier, host=plan.name)
        return aws.ec2.Eip(f"{name}-{plan.name}", domain="vpc", tags=tags, opts=self.child())

"""The estate's public address, and who answers at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class PublicAddressArgs:
    """The load balancer's instance; `protect` keeps the address, which visitors' DNS names, from being released."""

    stack: str
    instance_id: pulumi.Input[str]
    protect: bool


class PublicAddress(Component):
    """An Elastic IP on the load balancer. Attribute: `address`."""

    token: ClassVar[str] = "ha:publicaddress:PublicAddress"

    def __init__(self, name: str, args: PublicAddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        address = aws.ec2.Eip(
            f"{name}-address",
            domain="vpc",
            tags=self.tags("public", tier=Tier.LB),
            opts=self.child(pulumi.ResourceOptions(protect=args.protect)),
        )
        self.address: pulumi.Output[str] = address.public_ip
        aws.ec2.EipAssociation(
            f"{name}-association",
            allocation_id=address.id,
            instance_id=args.instance_id,
            opts=self.child(pulumi.ResourceOptions(delete_before_replace=True)),
        )
        self.register_outputs({"address": self.address})

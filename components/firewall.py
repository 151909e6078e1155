"""A security group for each tier, and a rule resource for each flow and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from spec.flows import ANYWHERE, WORLD, Flow, Peer
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """The VPC and its allowed flows."""

    stack: str
    vpc_id: pulumi.Input[str]
    flows: Sequence[Flow]


class Firewall(Component):
    """A security group for each tier. A flow becomes an egress rule at its source and an ingress rule at its target;
    nothing else is allowed in either direction.

    Attributes: `group_ids` by tier; `rules`, which must exist before a host boots.
    """

    token: ClassVar[str] = "ha:firewall:Firewall"

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        self._name = name
        groups = {
            tier: aws.ec2.SecurityGroup(
                f"{name}-{tier}",
                description=f"{args.stack} {tier.role} hosts",
                vpc_id=args.vpc_id,
                tags=self.tags(tier.value, tier=tier),
                opts=self.child(),
            )
            for tier in Tier
        }
        self.group_ids: dict[Tier, pulumi.Output[str]] = {tier: group.id for tier, group in groups.items()}
        self.rules: list[pulumi.Resource] = []
        for flow in args.flows:
            self._open(flow)
        self.register_outputs({"group_ids": {tier.value: group_id for tier, group_id in self.group_ids.items()}})

    def _open(self, flow: Flow) -> None:
        if isinstance(flow.target, Tier):
            self._rule(aws.vpc.SecurityGroupIngressRule, "in", flow, own=flow.target, peer=flow.source)
        if isinstance(flow.source, Tier):
            self._rule(aws.vpc.SecurityGroupEgressRule, "out", flow, own=flow.source, peer=flow.target)

    def _rule(
        self,
        kind: type[aws.vpc.SecurityGroupIngressRule] | type[aws.vpc.SecurityGroupEgressRule],
        direction: str,
        flow: Flow,
        *,
        own: Tier,
        peer: Peer,
    ) -> None:
        """The rule for one end of a flow, in the security group of that end's tier."""
        self.rules.append(
            kind(
                f"{self._name}-{direction}-{flow.name}",
                security_group_id=self.group_ids[own],
                referenced_security_group_id=self._group(peer),
                cidr_ipv4=_anywhere(peer),
                ip_protocol=flow.protocol,
                from_port=flow.port,
                to_port=flow.port,
                description=flow.why,
                tags=self.tags(flow.name, tier=own),
                opts=self.child(),
            )
        )

    def _group(self, peer: Peer) -> pulumi.Output[str] | None:
        return self.group_ids[peer] if isinstance(peer, Tier) else None


def _anywhere(peer: Peer) -> str | None:
    return ANYWHERE if peer == WORLD else None

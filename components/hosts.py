"""The hosts of every tier, in the order in which they may start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.artifacts import Artifacts
from components.component import Component
from components.firewall import Firewall
from components.host import Host, HostArgs
from components.identity import Identity
from components.network import Network
from components.public_address import PublicAddress
from spec.addresses import HostPlan
from spec.scope import Scope
from spec.settings import Settings
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class HostsArgs:
    """What the hosts need; `user_data` by host name."""

    scope: Scope
    settings: Settings
    user_data: Mapping[str, bytes]
    image_id: pulumi.Input[str]
    network: Network
    firewall: Firewall
    identity: Identity
    artifacts: Artifacts
    public: PublicAddress
    alert_topic_arn: pulumi.Input[str]


class Hosts(Component):
    """Every host of the estate. The hosts of one tier form a chain, so that an update replaces one at a time. Tiers do
    not wait for each other, because each host itself waits for what it needs.

    Attribute: `by_tier`.
    """

    token: ClassVar[str] = "ha:hosts:Hosts"

    def __init__(self, name: str, args: HostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        self.by_tier: dict[Tier, list[Host]] = {tier: [] for tier in Tier}
        plans = args.settings.plan_hosts()
        for plan in plans:
            siblings = self.by_tier[plan.tier]
            if siblings:
                after = siblings[-1].next_host_depends_on
            else:
                after = [*args.network.egress_dependencies, *args.firewall.rules, args.identity.policies[plan.tier]]
                if plan.tier is Tier.APP and args.artifacts.release:
                    after.append(args.artifacts.release)
                if plan.tier is Tier.LB:
                    after.append(args.public.allocation)
            hosts = args.settings.hosts_of(plan.tier)
            host = Host(
                plan.name,
                HostArgs(
                    stack=args.scope.stack,
                    plan=plan,
                    machine=hosts.machine,
                    image_id=args.image_id,
                    subnet_id=args.network.subnet_ids[plan.zone_index, plan.tier.public],
                    security_group_id=args.firewall.group_ids[plan.tier],
                    profile_name=args.identity.profile_names[plan.tier],
                    user_data=args.user_data[plan.name],
                    root_volume_gib=hosts.root_volume_gib,
                    data_volume_gib=args.settings.data_volume_gib(plan.tier),
                    alert_topic_arn=args.alert_topic_arn,
                    protect=args.settings.protect,
                    after=after,
                ),
                opts=self.child(),
            )
            siblings.append(host)
        self.register_outputs({"instance_ids": {h: i.instance_id for h, i in self._named()}})

    def instance_ids(self, tier: Tier) -> dict[HostPlan, pulumi.Output[str]]:
        """The instances of a tier by their plans."""
        return {host.plan: host.instance_id for host in self.by_tier[tier]}

    def _named(self) -> list[tuple[str, Host]]:
        return [(f"{tier}{n}", host) for tier, hosts in self.by_tier.items() for n, host in enumerate(hosts, 1)]

"""The hosts of every tier, as one chain: one pointer or host changes at a time in the whole estate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.applied_settings import AppliedSettings, AppliedSettingsArgs
from components.artifacts import Artifacts
from components.backups import Backups
from components.component import Component
from components.firewall import Firewall
from components.host import Host, HostArgs
from components.identity import Identity
from components.in_service import InService, InServiceArgs
from components.launch_template import HostTemplate, HostTemplateArgs
from components.network import Network
from components.pointers import TierPointer, TierPointerArgs
from components.public_address import LoadBalancerAddress, LoadBalancerAddressArgs, PublicAddress
from spec.addresses import HostPlan
from spec.changes import CHANGE_ORDER, IN_FORCE_KEY, WANTED_KEY
from spec.in_service import ESTATE_KEY
from spec.pointer import Pointer
from spec.scope import Scope
from spec.settings import Settings
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class ChangeHooks:
    """What happens around a change, in the running estate. None where no engine runs.

    `settings` refuses what a running estate cannot take, `pointer` rolls out, `in_service` hands over and waits,
    `estate` lets nobody destroy it by mistake; `settles` by tier: see `ops.record`.
    """

    settings: pulumi.ResourceHookBinding | None = None
    pointer: pulumi.ResourceHookBinding | None = None
    in_service: pulumi.ResourceHookBinding | None = None
    estate: pulumi.ResourceHookBinding | None = None
    settles: Mapping[Tier, int] | None = None


@dataclass(frozen=True, kw_only=True)
class HostsArgs:
    """What the hosts need; `user_data` by host name, `pointers` by tier."""

    scope: Scope
    settings: Settings
    user_data: Mapping[str, str]
    pointers: Mapping[Tier, Pointer]
    image_id: pulumi.Input[str]
    network: Network
    firewall: Firewall
    identity: Identity
    artifacts: Artifacts
    backups: Backups
    public: PublicAddress
    alert_topic_arn: pulumi.Input[str]
    hooks: ChangeHooks


class Hosts(Component):
    """Every host of the estate, and the pointer of every tier. Each depends on the one before it in the chain; a host
    that boots waits by itself for what it needs of others. Also the templates of hosts that operations launch.
    """

    token: ClassVar[str] = "ha:hosts:Hosts"

    def __init__(self, name: str, args: HostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        self._args = args
        plans = args.settings.plan_hosts()
        chain = [self._settings("settings", WANTED_KEY, [], args.hooks.settings)]
        instance_ids: dict[str, pulumi.Output[str]] = {}
        for tier in CHANGE_ORDER:
            pointer = self._pointer(tier, chain)
            for plan in [one for one in plans if one.tier is tier]:
                host = self._host(plan, [pointer, *chain])
                instance_ids[plan.name] = host.instance_id
                chain = [self._in_service(host)]
        self._settings("settings-in-force", IN_FORCE_KEY, chain, None)
        for plan in args.settings.plan_on_demand():
            self._template(plan)
        aws.s3.BucketObjectv2(
            "in-service",
            bucket=args.artifacts.bucket_name,
            key=ESTATE_KEY,
            content="Every host of this estate was in service.\n",
            tags=self.tags("in-service"),
            opts=self.child(pulumi.ResourceOptions(depends_on=chain, hooks=args.hooks.estate)),
        )
        self.register_outputs({"instance_ids": instance_ids})

    def _settings(
        self, name: str, key: str, after: Sequence[pulumi.Resource], hooks: pulumi.ResourceHookBinding | None
    ) -> pulumi.Resource:
        args = self._args
        return AppliedSettings(
            name,
            AppliedSettingsArgs(
                stack=args.scope.stack,
                bucket=args.artifacts.bucket_name,
                key=key,
                settings=args.settings,
                after=after,
                hooks=hooks,
            ),
            opts=self.child(),
        ).resource

    def _pointer(self, tier: Tier, chain: list[pulumi.Resource]) -> pulumi.Resource:
        args = self._args
        # No database host writes a backup before the buckets have their locks and the copy.
        needed = [*args.artifacts.needed[tier], *([args.backups] if tier is Tier.DB else [])]
        return TierPointer(
            Pointer.resource_name(tier),
            TierPointerArgs(
                stack=args.scope.stack,
                bucket=args.artifacts.bucket_name,
                tier=tier,
                pointer=args.pointers[tier],
                settles=(args.hooks.settles or {}).get(tier, 0),
                after=[*needed, *chain],
                hooks=args.hooks.pointer,
            ),
            opts=self.child(),
        ).resource

    def _host(self, plan: HostPlan, chain: list[pulumi.Resource]) -> Host:
        args, tier = self._args, plan.tier
        machines = args.settings.hosts_of(tier)
        after = [*args.network.egress_dependencies, *args.firewall.rules, args.identity.policies[tier], *chain]
        if tier is Tier.LB:
            after.append(args.public.allocation)
        return Host(
            plan.name,
            HostArgs(
                stack=args.scope.stack,
                plan=plan,
                machine=machines.machine,
                image_id=args.image_id,
                subnet_id=args.network.subnet_ids[plan.zone_index, tier.public],
                security_group_id=args.firewall.group_ids[tier],
                profile_name=args.identity.profile_names[tier],
                user_data=args.user_data[plan.name],
                root_volume_gib=machines.root_volume_gib,
                data_volume_gib=args.settings.data_volume_gib(tier),
                alert_topic_arn=args.alert_topic_arn,
                alarm_prefix=args.scope.alarm_prefix,
                protect=args.settings.protect,
                after=after,
            ),
            opts=self.child(),
        )

    def _template(self, plan: HostPlan) -> None:
        """A host that an operation launches is in nobody's way: it is not part of the chain."""
        args, tier = self._args, plan.tier
        pointer = TierPointer(
            Pointer.resource_name(tier),
            TierPointerArgs(
                stack=args.scope.stack,
                bucket=args.artifacts.bucket_name,
                tier=tier,
                pointer=args.pointers[tier],
                settles=0,
                after=args.artifacts.needed[tier],
                hooks=None,
            ),
            opts=self.child(),
        ).resource
        machines, data_volume_gib = args.settings.hosts_of(tier), args.settings.data_volume_gib(tier)
        assert data_volume_gib is not None
        HostTemplate(
            f"{tier}-template",
            HostTemplateArgs(
                scope=args.scope,
                plan=plan,
                machine=machines.machine,
                image_id=args.image_id,
                subnet_id=args.network.subnet_ids[plan.zone_index, tier.public],
                security_group_id=args.firewall.group_ids[tier],
                profile_name=args.identity.profile_names[tier],
                user_data=args.user_data[plan.name],
                root_volume_gib=machines.root_volume_gib,
                data_volume_gib=data_volume_gib,
                after=[
                    *args.network.egress_dependencies,
                    *args.firewall.rules,
                    args.identity.policies[tier],
                    pointer,
                ],
            ),
            opts=self.child(),
        )

    def _in_service(self, host: Host) -> pulumi.Resource:
        args, plan = self._args, host.plan
        parts = list(host.parts)
        if plan.tier is Tier.LB:
            address = LoadBalancerAddress(
                f"{plan.name}-address",
                LoadBalancerAddressArgs(
                    stack=args.scope.stack,
                    public=args.public,
                    plan=plan,
                    instance_id=host.instance_id,
                    alone=args.settings.host_count(Tier.LB) == 1,
                ),
                opts=self.child(),
            )
            parts.append(address.association)
        return InService(
            f"{plan.name}-in-service",
            InServiceArgs(
                stack=args.scope.stack,
                bucket=args.artifacts.bucket_name,
                host=host,
                parts=parts,
                instance_type=args.settings.hosts_of(plan.tier).instance_type,
                hooks=args.hooks.in_service,
            ),
            opts=self.child(),
        ).resource

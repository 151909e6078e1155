"""The estate in one screen: settings in, components composed, outputs out."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_aws as aws
from pulumi.runtime.config import get_config_env

from components.alerts import Alerts, AlertsArgs
from components.artifacts import Artifacts, ArtifactsArgs
from components.backups import Backups, BackupsArgs
from components.bundles import bundles
from components.clean_exit import exit_without_traceback
from components.firewall import Firewall, FirewallArgs
from components.host_files import contexts
from components.hosts import Hosts, HostsArgs
from components.identity import Identity, IdentityArgs
from components.network import Network, NetworkArgs
from components.public_address import PublicAddress, PublicAddressArgs
from components.user_data import user_data
from ops.engine import found_backup_buckets, hooks_of
from spec.flows import flows
from spec.pointer import Pointer
from spec.release import find_release
from spec.scope import Scope
from spec.stack_file import check_keys, check_stack_name, parse_settings
from spec.tiers import Tier

project_dir = Path(__file__).resolve().parent
project, stack = pulumi.get_project(), pulumi.get_stack()
source = f"Pulumi.{stack}.yaml"

# Everything that can be refused is refused here, before the first resource is declared.
with exit_without_traceback():
    check_stack_name(stack)
    check_keys(get_config_env(), source=source)
    settings = parse_settings(
        pulumi.Config(project).get_object("settings"), pulumi.Config("aws").get("region"), source=source
    )
    release = find_release(settings, project_dir, source=source)
    scope = Scope.of(
        settings,
        partition=aws.get_partition().partition,
        account=aws.get_caller_identity().account_id,
        project=project,
        stack=stack,
    )
    context_of = contexts(scope, settings)
    user_data_of = {name: user_data(context) for name, context in context_of.items()}
    bundle_of = bundles(context_of.values())
    hooks = hooks_of(scope, settings)
    backup_buckets = found_backup_buckets(scope)
image = aws.ec2.get_ami(
    owners=[settings.image.owner],
    filters=[{"name": "name", "values": [settings.image.name]}],
    include_deprecated=True,  # AWS hides an image from other accounts two years after its creation
)

network = Network(
    "network",
    NetworkArgs(
        stack=stack,
        region=settings.region,
        cidr=settings.network.cidr,
        subnets=settings.plan_subnets(),
        nat_gateways=settings.network.nat_gateways,
    ),
)
allowed = flows(load_balancers=settings.load_balancer.count, caches=settings.cache.count)
firewall = Firewall("firewall", FirewallArgs(stack=stack, vpc_id=network.vpc_id, flows=allowed))
identity = Identity("identity", IdentityArgs(scope=scope))
artifacts = Artifacts(
    "artifacts", ArtifactsArgs(scope=scope, bundles=bundle_of, release=release, protect=settings.protect)
)
alerts = Alerts(
    "alerts",
    AlertsArgs(scope=scope, email=settings.alerts.email, budget_monthly_usd=settings.budget_monthly_usd),
)
backups = Backups(
    "backups",
    BackupsArgs(
        scope=scope,
        lock_days=settings.backups.lock_days,
        protect=settings.protect,
        found=backup_buckets,
        alert_topic_arn=alerts.topic_arn,
    ),
)
public = PublicAddress("public", PublicAddressArgs(stack=stack, protect=settings.protect))
Hosts(
    "hosts",
    HostsArgs(
        scope=scope,
        settings=settings,
        user_data=user_data_of,
        pointers={
            tier: Pointer(bundle=bundle.digest, release=release.digest if tier is Tier.APP else None)
            for tier, bundle in bundle_of.items()
        },
        image_id=image.id,
        network=network,
        firewall=firewall,
        identity=identity,
        artifacts=artifacts,
        backups=backups,
        public=public,
        alert_topic_arn=alerts.topic_arn,
        hooks=hooks,
    ),
)

pulumi.export("url", pulumi.Output.concat("http://", public.address))
pulumi.export("public_address", public.address)
pulumi.export("artifact_bucket", artifacts.bucket_name)
pulumi.export("backup_bucket", backups.bucket_name)
pulumi.export("alert_topic_arn", alerts.topic_arn)
pulumi.export("hosts", {plan.name: str(plan.address) for plan in settings.plan_hosts()})

"""From a resource to what is paid for it: pure functions of its inputs, which know no price.

A type is in `PAID`, or in `FREE` with the reason; one in neither is an error that names it. docs/costs.md says how to
add one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from cost.prices import HOURS_PER_MONTH, Unit
from cost.resources import AWS_PROVIDER, Resource
from cost.usage import Usage

INSTANCE = "aws:ec2/instance:Instance"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
VOLUME = "aws:ebs/volume:Volume"
NAT_GATEWAY = "aws:ec2/natGateway:NatGateway"

# An engine preview's stand-in for a value that is known only after the update.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

_GP3_IOPS_INCLUDED = Decimal(3000)
_GP3_MIBPS_INCLUDED = Decimal(125)


class Group(StrEnum):
    """What the money goes to."""

    HOSTS = "hosts"
    DISKS = "disks"
    NAT = "NAT gateways"
    ADDRESSES = "public IPv4 addresses"
    TRANSFER = "data transfer"
    ALERTS = "alarms and alerts"
    OBJECTS = "objects in S3"
    BACKUPS = "backups"
    OTHER = "other"


@dataclass(frozen=True)
class Counts:
    """How many of the estate's resources there are, where another's cost depends on it."""

    instances: int
    nat_gateways: int
    database_gb: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One thing that is paid for a resource.

    :ivar diff_key: which charge of the resource it is: the same on both sides of a diff, whatever the size or type.
    :ivar assumed: the reason for a quantity that is assumed, not declared.
    """

    item: str
    diff_key: str
    quantity: Decimal
    unit: Unit
    key: str
    group: Group
    assumed: str = ""


class Unpriceable(Exception):
    """The inputs of a resource do not say what is paid for it; the message says why."""


ChargesOf = Callable[[Resource, Counts, Usage], list[Charge]]


def _number(inputs: Mapping[str, Any], name: str, default: int | None = None) -> Decimal:
    value = inputs.get(name, default)
    if isinstance(value, str) and UNKNOWN in value:
        raise Unpriceable(f"{name} is unknown until the update")
    if value is None:
        raise Unpriceable(f"{name} is not set, so the quantity is unknown")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or number < 0:
        raise Unpriceable(f"{name} is {value!r}, so the quantity is unknown")
    return number.to_integral_value() if number == number.to_integral_value() else number


def _text(inputs: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = inputs.get(name, default)
    if not isinstance(value, str) or not value:
        raise Unpriceable(f"{name} is not set")
    if UNKNOWN in value:
        raise Unpriceable(f"{name} is unknown until the update")
    return value


def _flag(inputs: Mapping[str, Any], name: str) -> bool:
    value = inputs.get(name, False)
    if not isinstance(value, bool):
        raise Unpriceable(f"{name} is {value!r}, so it is unknown whether it is paid for")
    return value


def _groups(inputs: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of groups of inputs; empty when it is not set."""
    value = inputs.get(name) or []
    if not isinstance(value, list) or not all(isinstance(group, Mapping) for group in value):
        raise Unpriceable(f"{name} is unknown until the update")
    return value


def _disk(inputs: Mapping[str, Any], *, type_name: str, size_name: str, what: str) -> list[Charge]:
    """An EBS volume; gp3 includes 3000 IOPS and 125 MiB/s."""
    kind = _text(inputs, type_name)
    size = _number(inputs, size_name)
    charges = [
        Charge(
            item=f"{what} {kind}",
            diff_key=what,
            quantity=size,
            unit=Unit.GB_MONTH,
            key=f"ebs.{kind}.gb",
            group=Group.DISKS,
        )
    ]
    extra = {
        "iops": (_GP3_IOPS_INCLUDED, Unit.IOPS_MONTH),
        "throughput": (_GP3_MIBPS_INCLUDED, Unit.MIBPS_MONTH),
    }
    for name, (included, unit) in extra.items():
        if inputs.get(name) is None:
            continue
        if kind != "gp3":
            raise Unpriceable(f"{name} of a {kind} volume has no price mapping")
        if (over := _number(inputs, name) - included) > 0:
            charges.append(
                Charge(
                    item=f"{what} {name} over {included}",
                    diff_key=f"{what} {name}",
                    quantity=over,
                    unit=unit,
                    key=f"ebs.gp3.{name}",
                    group=Group.DISKS,
                )
            )
    return charges


# With one of these an instance costs something else than its type's hour, or another place says what it is.
_OTHER_PRICES = ("hostId", "hostResourceGroupArn", "instanceMarketOptions", "launchTemplate")


def _instance(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    inputs = resource.inputs
    name = _text(inputs, "instanceType")
    family = name.split(".")[0]
    credits = inputs.get("creditSpecification")
    if family in ("t2", "t3", "t3a", "t4g") and not (
        isinstance(credits, Mapping) and credits.get("cpuCredits") == "standard"
    ):
        raise Unpriceable("its CPU credits are not `standard`: surplus credits are billed, and how many is unknown")
    if other := [field for field in _OTHER_PRICES if inputs.get(field)]:
        raise Unpriceable(f"an instance with {', '.join(other)} has no price mapping")
    if inputs.get("tenancy", "default") != "default":
        raise Unpriceable(f"an instance of tenancy {inputs['tenancy']} has no price mapping")
    if _flag(inputs, "monitoring"):
        raise Unpriceable("detailed monitoring is billed by the metric and has no price mapping")
    charges = [
        Charge(
            item=f"instance {name}",
            diff_key="instance",
            quantity=HOURS_PER_MONTH,
            unit=Unit.HOUR,
            key=f"ec2.{name}.hour",
            group=Group.HOSTS,
        )
    ]
    root = inputs.get("rootBlockDevice")
    if not isinstance(root, Mapping):
        raise Unpriceable("it has no rootBlockDevice, so the size of its disk is unknown")
    charges += _disk(root, type_name="volumeType", size_name="volumeSize", what="root volume")
    for number, device in enumerate(_groups(inputs, "ebsBlockDevices"), 1):
        charges += _disk(device, type_name="volumeType", size_name="volumeSize", what=f"volume {number}")
    if _flag(inputs, "associatePublicIpAddress"):
        charges.append(_address("public IPv4 address"))
    return charges


def _launch_template(resource: Resource, _counts: Counts, usage: Usage) -> list[Charge]:
    """A template costs nothing; the hosts that are launched from it do, for as long as they are there."""
    inputs, hours = resource.inputs, usage.restore_hours
    name, part = _text(inputs, "instanceType"), hours.quantity / HOURS_PER_MONTH
    disks: list[Charge] = []
    for number, mapping in enumerate(_groups(inputs, "blockDeviceMappings"), 1):
        ebs = mapping.get("ebs")
        if not isinstance(ebs, Mapping):
            raise Unpriceable("a block device has no volume whose size is known")
        disks += _disk(ebs, type_name="volumeType", size_name="volumeSize", what=f"volume {number}, while it is there")
    return [
        Charge(
            item=f"instance {name}, while it is there",
            diff_key="instance",
            quantity=hours.quantity,
            unit=Unit.HOUR,
            key=f"ec2.{name}.hour",
            group=Group.BACKUPS,
            assumed=hours.reason,
        ),
        *(replace(one, quantity=one.quantity * part, group=Group.BACKUPS, assumed=hours.reason) for one in disks),
    ]


def _address(item: str) -> Charge:
    return Charge(
        item=item,
        diff_key="address",
        quantity=HOURS_PER_MONTH,
        unit=Unit.HOUR,
        key="public-ipv4.hour",
        group=Group.ADDRESSES,
    )


def _subnet(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    if resource.inputs.get("mapPublicIpOnLaunch"):
        raise Unpriceable(
            "it gives every instance a public address: set associatePublicIpAddress on the instances instead"
        )
    return []


def _volume(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    return _disk(resource.inputs, type_name="type", size_name="size", what="data volume")


def _nat_gateway(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    if (mode := resource.inputs.get("availabilityMode", "zonal")) != "zonal":
        raise Unpriceable(f"a gateway of availability mode {mode} is billed by the zone and has no price mapping")
    return [
        Charge(
            item="NAT gateway",
            diff_key="gateway",
            quantity=HOURS_PER_MONTH,
            unit=Unit.HOUR,
            key="nat-gateway.hour",
            group=Group.NAT,
        )
    ]


def _eip(_resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    return [_address("public IPv4 address (Elastic IP)")]


def _vpc(_resource: Resource, counts: Counts, usage: Usage) -> list[Charge]:
    """A VPC costs nothing; what flows through it does."""
    charges = [
        Charge(
            item="data out to the internet",
            diff_key="internet",
            quantity=usage.internet_out_gb.quantity,
            unit=Unit.GB,
            key="transfer.internet.gb",
            group=Group.TRANSFER,
            assumed=usage.internet_out_gb.reason,
        ),
        Charge(
            item="data between zones, both sides",
            diff_key="cross-zone",
            quantity=2 * usage.cross_zone_gb.quantity,
            unit=Unit.GB,
            key="transfer.cross-zone.gb",
            group=Group.TRANSFER,
            assumed=usage.cross_zone_gb.reason,
        ),
    ]
    if counts.nat_gateways:
        charges.append(
            Charge(
                item="data through NAT gateways",
                diff_key="nat",
                quantity=counts.instances * usage.nat_gb_per_host.quantity,
                unit=Unit.GB,
                key="nat-gateway.gb",
                group=Group.NAT,
                assumed=usage.nat_gb_per_host.reason,
            )
        )
    return charges


def _vpc_endpoint(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    kind = resource.inputs.get("vpcEndpointType", "Gateway")
    if kind == "Gateway":
        return []
    raise Unpriceable(f"an endpoint of type {kind} is billed by zone, hour and GB and has no price mapping")


def _alarm(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    if resource.inputs.get("metricQueries"):
        raise Unpriceable("an alarm on several metrics is billed for each of them and has no price mapping")
    if _number(resource.inputs, "period") < 60:
        raise Unpriceable("a high-resolution alarm (period under 60 s) has no price mapping")
    return [
        Charge(
            item="alarm, standard resolution",
            diff_key="alarm",
            quantity=Decimal(1),
            unit=Unit.ALARM_MONTH,
            key="cloudwatch.alarm",
            group=Group.ALERTS,
        )
    ]


def _topic(_resource: Resource, _counts: Counts, usage: Usage) -> list[Charge]:
    return [
        Charge(
            item="messages published",
            diff_key="messages",
            quantity=usage.notifications.quantity / 1_000_000,
            unit=Unit.REQUESTS_1M,
            key="sns.requests",
            group=Group.ALERTS,
            assumed=usage.notifications.reason,
        )
    ]


def _subscription(resource: Resource, _counts: Counts, usage: Usage) -> list[Charge]:
    protocol = _text(resource.inputs, "protocol")
    if protocol != "email":
        raise Unpriceable(f"notifications by {protocol} have no price mapping")
    return [
        Charge(
            item="e-mails",
            diff_key="e-mails",
            quantity=usage.emails.quantity / 100_000,
            unit=Unit.NOTIFICATIONS_100K,
            key="sns.email",
            group=Group.ALERTS,
            assumed=usage.emails.reason,
        )
    ]


def _bucket(resource: Resource, counts: Counts, usage: Usage) -> list[Charge]:
    bucket = usage.buckets.get(resource.name)
    if bucket is None:
        raise Unpriceable(f"its quantities are unknown: add buckets.{resource.name} to cost/usage.yaml")
    group = Group.OBJECTS if bucket.storage_of_database is None else Group.BACKUPS

    def requests(item: str, quantity: Decimal, key: str, reason: str) -> Charge:
        return Charge(
            item=item,
            diff_key=key,
            quantity=quantity / 1000,
            unit=Unit.REQUESTS_1K,
            key=key,
            group=group,
            assumed=reason,
        )

    def storage(item: str, diff_key: str, quantity: Decimal, reason: str) -> Charge:
        return Charge(
            item=item,
            diff_key=diff_key,
            quantity=quantity,
            unit=Unit.GB_MONTH,
            key="s3.standard.gb",
            group=group,
            assumed=reason,
        )

    charges = [storage("storage, standard", "storage", bucket.storage_gb.quantity, bucket.storage_gb.reason)]
    if (of_database := bucket.storage_of_database) is not None:
        quantity = _database_used(counts, usage) * of_database.quantity
        charges.append(storage("storage of backups, standard", "backups", quantity, of_database.reason))
    return [
        *charges,
        requests("PUT and LIST requests", bucket.put_requests.quantity, "s3.put", bucket.put_requests.reason),
        requests("GET requests", bucket.get_requests.quantity, "s3.get", bucket.get_requests.reason),
    ]


def _database_used(counts: Counts, usage: Usage) -> Decimal:
    return counts.database_gb * usage.database_used.quantity


_METRICS_OF_A_RULE = 4
"""Bytes and operations that wait, operations that failed, latency. Billed as custom metrics are.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
"""


def _replication(resource: Resource, counts: Counts, usage: Usage) -> list[Charge]:
    """What S3 copies leaves the region; storage and requests are of the bucket that it is copied to."""

    def transfer(item: str, diff_key: str, quantity: Decimal, reason: str) -> Charge:
        return Charge(
            item=item,
            diff_key=diff_key,
            quantity=quantity,
            unit=Unit.GB,
            key="transfer.inter-region.gb",
            group=Group.BACKUPS,
            assumed=reason,
        )

    log, backups = usage.replicated_gb, usage.replicated_of_database
    return [
        transfer("write-ahead log to the second region", "log", log.quantity, log.reason),
        transfer(
            "backups to the second region",
            "backups",
            _database_used(counts, usage) * backups.quantity,
            backups.reason,
        ),
        *(
            Charge(
                item="metrics of replication",
                diff_key="metrics",
                quantity=Decimal(_METRICS_OF_A_RULE),
                unit=Unit.METRIC_MONTH,
                key="cloudwatch.metric",
                group=Group.ALERTS,
            )
            for rule in _groups(resource.inputs, "rules")
            if (to := rule.get("destination")) and isinstance(to, Mapping) and to.get("metrics")
        ),
    ]


def _encryption(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    for rule in _groups(resource.inputs, "rules"):
        by_default = rule.get("applyServerSideEncryptionByDefault") or {}
        algorithm = by_default.get("sseAlgorithm") if isinstance(by_default, Mapping) else by_default
        if algorithm != "AES256":
            raise Unpriceable(f"encryption by {algorithm} is billed by the request and has no price mapping")
    return []


def _budget(resource: Resource, _counts: Counts, _usage: Usage) -> list[Charge]:
    if resource.inputs.get("autoAdjustData") is not None:
        raise Unpriceable("an auto-adjusting budget has no price mapping")
    return []


# A function may find that nothing is paid for a resource as it is declared; the reason is then in FREE as well.
PAID: Mapping[str, ChargesOf] = {
    INSTANCE: _instance,
    LAUNCH_TEMPLATE: _launch_template,
    VOLUME: _volume,
    NAT_GATEWAY: _nat_gateway,
    "aws:ec2/eip:Eip": _eip,
    "aws:ec2/subnet:Subnet": _subnet,
    "aws:ec2/vpc:Vpc": _vpc,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _vpc_endpoint,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:sns/topic:Topic": _topic,
    "aws:sns/topicSubscription:TopicSubscription": _subscription,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": _replication,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _encryption,
    "aws:budgets/budget:Budget": _budget,
}

_ROUTING = "routing inside a VPC is free"
_FILTERING = "security groups are free"
_IDENTITY = "IAM is free"
_BUCKET_SETTING = "a setting of the bucket, which is priced itself"
FREE: Mapping[str, str] = {
    "aws:budgets/budget:Budget": "budgets without actions are free",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _FILTERING,
    "aws:ec2/eipAssociation:EipAssociation": "the address is priced itself, in use or not",
    "aws:ec2/internetGateway:InternetGateway": "the gateway is free; what leaves through it is priced at the VPC",
    "aws:ec2/route:Route": _ROUTING,
    "aws:ec2/routeTable:RouteTable": _ROUTING,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _ROUTING,
    "aws:ec2/securityGroup:SecurityGroup": _FILTERING,
    "aws:ec2/subnet:Subnet": "a subnet is free, and this one gives out no public address",
    "aws:ec2/volumeAttachment:VolumeAttachment": "the volume is priced itself, attached or not",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "gateway endpoints (S3) are free, and so is what goes through them",
    "aws:iam/instanceProfile:InstanceProfile": _IDENTITY,
    "aws:iam/role:Role": _IDENTITY,
    "aws:iam/rolePolicy:RolePolicy": _IDENTITY,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _BUCKET_SETTING,
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": _BUCKET_SETTING,
    "aws:s3/bucketObjectv2:BucketObjectv2": "its bytes are in the storage of the bucket",
    "aws:s3/bucketPolicy:BucketPolicy": _BUCKET_SETTING,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _BUCKET_SETTING,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "AES256 with Amazon's own keys is free"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _BUCKET_SETTING,
    "aws:sns/topicPolicy:TopicPolicy": "a setting of the topic, which is priced itself",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _FILTERING,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _FILTERING,
    AWS_PROVIDER: "a setting of Pulumi, nothing in AWS",
}

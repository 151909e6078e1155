"""One host: an instance that may be replaced at any time, and its data volume, which must not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from spec.addresses import HostPlan
from spec.instance_types import InstanceType

DATA_DEVICE = "/dev/sdf"
"""EC2's first recommended name; on Nitro the kernel gives it another one."""
METADATA_OPTIONS: aws.ec2.InstanceMetadataOptionsArgsDict = {
    "http_endpoint": "enabled",
    "http_tokens": "required",
    "http_put_response_hop_limit": 1,
    "instance_metadata_tags": "disabled",
}


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """The inputs of a host. `data_volume_gib` None: it has no data volume.

    `alarm_prefix`: how the names of its alarms begin. `after`: what must exist before it boots, such as its routes, its
    policy, its tier's pointer.
    """

    stack: str
    plan: HostPlan
    machine: InstanceType
    image_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    profile_name: pulumi.Input[str]
    user_data: str
    root_volume_gib: int
    data_volume_gib: int | None
    alert_topic_arn: pulumi.Input[str]
    alarm_prefix: str
    protect: bool
    after: Sequence[pulumi.Resource]


class Host(Component):
    """An EC2 instance with a planned address, IMDSv2 only, no key pair and an encrypted root volume; its data volume
    and attachment; alarms for its status checks and, on a burstable type, its CPU credits.

    A replacement deletes first: the address and the volume are free only when the old instance is terminated. The
    instance is stopped before its volume is detached, so that services that write to it shut down normally.
    Attributes: `plan`, `instance_id`; `parts`: what it needs to serve, the instance first.
    """

    token: ClassVar[str] = "ha:host:Host"

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        self._args = args
        self._host = f"{args.stack} {args.plan.name}"
        self.plan = plan = args.plan
        instance = aws.ec2.Instance(
            name,
            ami=args.image_id,
            instance_type=args.machine.name,
            subnet_id=args.subnet_id,
            private_ip=str(plan.address),
            secondary_private_ips=[str(plan.second_address)] if plan.second_address else None,
            # Unset on a public host: once it has an Elastic IP, this is read back as true and would replace the host.
            associate_public_ip_address=None if plan.tier.public else False,
            vpc_security_group_ids=[args.security_group_id],
            iam_instance_profile=args.profile_name,
            user_data=args.user_data,
            user_data_replace_on_change=True,
            metadata_options=METADATA_OPTIONS,
            credit_specification={"cpu_credits": "standard"} if args.machine.burstable else None,
            root_block_device={
                "volume_type": "gp3",
                "volume_size": args.root_volume_gib,
                "encrypted": True,
                "delete_on_termination": True,
                "tags": self.tags(f"{plan.name}-root", tier=plan.tier),
            },
            tags=self._host_tags(plan.name),
            opts=self.child(pulumi.ResourceOptions(depends_on=list(args.after), delete_before_replace=True)),
        )
        self.instance_id: pulumi.Output[str] = instance.id
        self.parts: list[pulumi.Resource] = [instance]
        if args.data_volume_gib is not None:
            self.parts.append(self._data_volume(name, instance, args.data_volume_gib))
        self._status_alarm(name, instance)
        if args.machine.burstable:
            self._credit_alarm(name, instance)
        self.register_outputs({"instance_id": self.instance_id})

    def _data_volume(self, name: str, instance: aws.ec2.Instance, size_gib: int) -> aws.ec2.VolumeAttachment:
        plan = self._args.plan
        volume = aws.ebs.Volume(
            f"{name}-data",
            availability_zone=plan.zone,
            type="gp3",
            size=size_gib,
            encrypted=True,
            tags=self._host_tags(f"{plan.name}-data"),
            opts=self.child(pulumi.ResourceOptions(protect=self._args.protect)),
        )
        return aws.ec2.VolumeAttachment(
            f"{name}-data",
            device_name=DATA_DEVICE,
            volume_id=volume.id,
            instance_id=instance.id,
            stop_instance_before_detaching=True,
            opts=self.child(pulumi.ResourceOptions(delete_before_replace=True)),
        )

    def _status_alarm(self, name: str, instance: aws.ec2.Instance) -> None:
        aws.cloudwatch.MetricAlarm(
            f"{name}-status",
            name=f"{self._args.alarm_prefix}{self._args.plan.name}-status",
            alarm_description=f"{self._host} fails EC2 status checks: docs/runbooks/HostStatusCheckFailed.md",
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed",
            dimensions={"InstanceId": instance.id},
            statistic="Maximum",
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            period=60,
            evaluation_periods=2,
            treat_missing_data="breaching",
            alarm_actions=[self._args.alert_topic_arn],
            ok_actions=[self._args.alert_topic_arn],
            tags=self._host_tags(f"{self._args.plan.name}-status"),
            opts=self.child(),
        )

    def _credit_alarm(self, name: str, instance: aws.ec2.Instance) -> None:
        """In `standard` mode, a host without credits is throttled to its baseline: warn before that."""
        aws.cloudwatch.MetricAlarm(
            f"{name}-credits",
            name=f"{self._args.alarm_prefix}{self._args.plan.name}-credits",
            alarm_description=f"{self._host} runs out of CPU credits: docs/runbooks/HostCpuCreditsLow.md",
            namespace="AWS/EC2",
            metric_name="CPUCreditBalance",
            dimensions={"InstanceId": instance.id},
            statistic="Minimum",
            comparison_operator="LessThanThreshold",
            threshold=10,  # credits; one is a minute of one processor at full speed
            period=300,
            # A t3 starts with none and earns ten in 25 to 50 minutes: with fewer periods, each new host would alarm.
            evaluation_periods=24,
            treat_missing_data="missing",
            alarm_actions=[self._args.alert_topic_arn],
            ok_actions=[self._args.alert_topic_arn],
            tags=self._host_tags(f"{self._args.plan.name}-credits"),
            opts=self.child(),
        )

    def _host_tags(self, name: str) -> dict[str, str]:
        return self.tags(name, tier=self._args.plan.tier, host=self._args.plan.name)

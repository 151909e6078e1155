"""The launch template of a host that operations launch: all that `RunInstances` needs, made before it is needed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.host import DATA_DEVICE, METADATA_OPTIONS
from spec.addresses import HostPlan
from spec.instance_types import InstanceType
from spec.scope import Scope

ROOT_DEVICE = "/dev/xvda"
"""Of Debian's images: https://wiki.debian.org/Cloud/AmazonEC2Image"""


@dataclass(frozen=True, kw_only=True)
class HostTemplateArgs:
    """As those of a host. `after`: what has to exist before it is launched, such as its policy and its pointer."""

    scope: Scope
    plan: HostPlan
    machine: InstanceType
    image_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    profile_name: pulumi.Input[str]
    user_data: str
    root_volume_gib: int
    data_volume_gib: int
    after: Sequence[pulumi.Resource]


class HostTemplate(Component):
    """A launch template for one host with a planned address, so that there cannot be two. The host and its volumes end
    when it shuts itself down.
    """

    token: ClassVar[str] = "ha:hosttemplate:HostTemplate"

    def __init__(self, name: str, args: HostTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        plan = args.plan
        aws.ec2.LaunchTemplate(
            name,
            name=args.scope.launch_template_name(plan.tier),
            description=f"{args.scope.stack} {plan.tier.role} host, launched by ha",
            update_default_version=True,
            image_id=args.image_id,
            instance_type=args.machine.name,
            iam_instance_profile={"name": args.profile_name},
            user_data=base64.b64encode(args.user_data.encode()).decode(),
            instance_initiated_shutdown_behavior="terminate",
            metadata_options=METADATA_OPTIONS,
            credit_specification={"cpu_credits": "standard"} if args.machine.burstable else None,
            network_interfaces=[
                {
                    "device_index": 0,
                    "subnet_id": args.subnet_id,
                    "private_ip_address": str(plan.address),
                    "security_groups": [args.security_group_id],
                    "associate_public_ip_address": "false",
                    "delete_on_termination": "true",
                }
            ],
            block_device_mappings=[
                _volume(ROOT_DEVICE, args.root_volume_gib),
                _volume(DATA_DEVICE, args.data_volume_gib),
            ],
            tag_specifications=[
                {"resource_type": kind, "tags": self.tags(plan.name, tier=plan.tier, host=plan.name)}
                for kind in ("instance", "volume")
            ],
            tags=self.tags(f"{plan.tier}-template", tier=plan.tier),
            opts=self.child(pulumi.ResourceOptions(depends_on=list(args.after))),
        )
        self.register_outputs({})


def _volume(device: str, size_gib: int) -> aws.ec2.LaunchTemplateBlockDeviceMappingArgsDict:
    return {
        "device_name": device,
        "ebs": {
            "volume_type": "gp3",
            "volume_size": size_gib,
            "encrypted": "true",
            "delete_on_termination": "true",
        },
    }

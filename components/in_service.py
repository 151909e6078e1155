"""The end of a host: made when it serves, deleted before anything of it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.host import Host
from spec.in_service import in_service_prefix


@dataclass(frozen=True, kw_only=True)
class InServiceArgs:
    """`parts`: all that the host needs to serve. `hooks`: gate and hand-over; None where no engine runs."""

    stack: str
    bucket: pulumi.Input[str]
    host: Host
    parts: Sequence[pulumi.Resource]
    instance_type: str
    hooks: pulumi.ResourceHookBinding | None


class InService(Component):
    """A small object whose key has the host's instance in it. A replacement of the instance deletes it first and makes
    it last, so a hook before its deletion can hand over while the host is whole, and a hook before its creation can
    wait until the new host serves. The next host depends on it: one host at a time changes in the whole estate.

    Attribute: `resource`.
    """

    token: ClassVar[str] = "ha:inservice:InService"

    def __init__(self, name: str, args: InServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        plan = args.host.plan
        self.resource = aws.s3.BucketObjectv2(
            name,
            bucket=args.bucket,
            key=pulumi.Output.concat(in_service_prefix(plan.name), args.host.instance_id),
            content=json.dumps({"instance_type": args.instance_type}),
            tags=self.tags(f"{plan.name}-in-service", tier=plan.tier, host=plan.name),
            opts=self.child(
                pulumi.ResourceOptions(depends_on=list(args.parts), delete_before_replace=True, hooks=args.hooks)
            ),
        )
        self.register_outputs({})

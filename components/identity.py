"""The hosts' identity on AWS: an IAM role and an instance profile for each tier."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.policies import assumed_by, role_policy
from spec.scope import Scope
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """What the roles' policies are limited to."""

    scope: Scope


class Identity(Component):
    """A role with an inline policy and an instance profile for each tier.

    Attributes: `profile_names` by tier; `policies` by tier: a host should not boot before its policy exists.
    """

    token: ClassVar[str] = "ha:identity:Identity"

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        self.profile_names: dict[Tier, pulumi.Output[str]] = {}
        self.policies: dict[Tier, pulumi.Resource] = {}
        for tier in Tier:
            prefix = f"{args.scope.project}-{args.scope.stack}-{tier}-"
            role = aws.iam.Role(
                f"{name}-{tier}",
                name_prefix=prefix,
                description=f"{args.scope.stack} {tier.role} hosts",
                assume_role_policy=json.dumps(assumed_by("ec2")),
                permissions_boundary=args.scope.permissions_boundary_arn,
                tags=self.tags(tier.value, tier=tier),
                opts=self.child(),
            )
            self.policies[tier] = aws.iam.RolePolicy(
                f"{name}-{tier}",
                role=role.name,
                policy=json.dumps(role_policy(tier, args.scope)),
                opts=self.child(),
            )
            profile = aws.iam.InstanceProfile(
                f"{name}-{tier}",
                name_prefix=prefix,
                role=role.name,
                tags=self.tags(tier.value, tier=tier),
                opts=self.child(),
            )
            self.profile_names[tier] = profile.name
        self.register_outputs({"profile_names": {tier.value: name for tier, name in self.profile_names.items()}})

"""The settings that the estate has: what the next change is compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from spec import ports
from spec.settings import Settings


@dataclass(frozen=True, kw_only=True)
class AppliedSettingsArgs:
    """`after`: what is made before it. `hooks`: refuse, also at preview, what a running estate cannot take; None where
    no engine runs.
    """

    stack: str
    bucket: pulumi.Input[str]
    key: str
    settings: Settings
    after: Sequence[pulumi.Resource] = ()
    hooks: pulumi.ResourceHookBinding | None = None


class AppliedSettings(Component):
    """The settings as an object in the artifact bucket: those that are wanted, on which everything that changes hosts
    depends, so that a change which its hook refuses touches none of them; and those in force, written when every host
    has them. After an update that failed the two differ. Attribute: `resource`.
    """

    token: ClassVar[str] = "ha:appliedsettings:AppliedSettings"

    def __init__(self, name: str, args: AppliedSettingsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        # The budget concerns nobody but its reader: a new one is no change of the estate.
        settings = args.settings.model_dump(mode="json", exclude={"budget_monthly_usd"})
        document = {"ports": ports.by_name(), "settings": settings}
        self.resource = aws.s3.BucketObjectv2(
            name,
            bucket=args.bucket,
            key=args.key,
            content=json.dumps(document, indent=1, sort_keys=True) + "\n",
            tags=self.tags("settings"),
            opts=self.child(
                pulumi.ResourceOptions(depends_on=list(args.after), delete_before_replace=True, hooks=args.hooks)
            ),
        )
        self.register_outputs({})

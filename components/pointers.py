"""The pointer of a tier: which bundle and which release its hosts run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from spec.pointer import Pointer
from spec.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class TierPointerArgs:
    """`after`: what it names, and the hosts that change before this tier's. `settles`: see `ops.record`.

    `hooks`: the roll-out; None where no engine runs.
    """

    stack: str
    bucket: pulumi.Input[str]
    tier: Tier
    pointer: Pointer
    settles: int
    after: Sequence[pulumi.Resource]
    hooks: pulumi.ResourceHookBinding | None


class TierPointer(Component):
    """A tier's pointer in the artifact bucket. It is written only after the roll-out in the hook before its update, so
    it says what runs.

    Attribute: `resource`: a host of the tier should not boot before it exists.
    """

    token: ClassVar[str] = "ha:tierpointer:TierPointer"

    def __init__(self, name: str, args: TierPointerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.stack, opts)
        self.resource = aws.s3.BucketObjectv2(
            name,
            bucket=args.bucket,
            key=Pointer.key(args.tier),
            content=args.pointer.to_json(),
            # Another one makes the engine call the hook when the pointer itself stays the same.
            metadata={"settles": str(args.settles)} if args.settles else None,
            tags=self.tags(name, tier=args.tier),
            opts=self.child(pulumi.ResourceOptions(depends_on=list(args.after), hooks=args.hooks)),
        )
        self.register_outputs({})

"""The base class of every component resource of the estate."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from spec.tags import tags
from spec.tiers import Tier


class Component(pulumi.ComponentResource):
    """A component resource of a stack.

    A subclass sets `token` (`ha:network:Network`), creates its children with `self.child(...)` options and ends its
    constructor with `register_outputs`.
    """

    token: ClassVar[str]

    def __init__(self, name: str, stack: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.token, name, None, opts)
        self.stack = stack

    def child(self, opts: pulumi.ResourceOptions | None = None) -> pulumi.ResourceOptions:
        """Options of a child: those given, with this component as parent (last, because the later parent wins)."""
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(parent=self))

    def tags(self, name: str, *, tier: Tier | None = None, host: str | None = None) -> dict[str, str]:
        return tags(self.stack, name, tier=tier, host=host)

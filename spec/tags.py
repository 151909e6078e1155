"""The tags of every resource."""

from __future__ import annotations

from spec.tiers import Tier

NAME_TAG = "Name"
STACK_TAG = "ha:stack"
TIER_TAG = "ha:tier"
HOST_TAG = "ha:host"
WHY_TAG = "ha:why"
"""Of a snapshot: why it was taken. Only an operation writes it."""


def tags(stack: str, name: str, *, tier: Tier | None = None, host: str | None = None) -> dict[str, str]:
    """Tags of one resource. `Name` is for people; `ha` finds resources by the `ha:` tags."""
    own = {NAME_TAG: f"{stack}-{name}", STACK_TAG: stack}
    if tier is not None:
        own[TIER_TAG] = tier.value
    if host is not None:
        own[HOST_TAG] = host
    return own


PUBLIC_ADDRESS = "public"


def public_address_name(stack: str) -> str:
    """The `Name` of the public Elastic IP, by which hosts and `ha` find it."""
    return tags(stack, PUBLIC_ADDRESS)[NAME_TAG]

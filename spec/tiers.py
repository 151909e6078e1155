"""The five tiers of the estate; every host belongs to one."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """A tier's short name: in host names (`db1`), tags, folders of `cloud-init/` and drill names."""

    LB = "lb"
    APP = "app"
    DB = "db"
    MONITOR = "monitor"
    CACHE = "cache"

    @property
    def role(self) -> str:
        """The tier's name in prose and in `ha status`."""
        return _ROLES[self]

    @property
    def public(self) -> bool:
        """Whether the tier's hosts stand in the public subnets."""
        return self is Tier.LB


_ROLES = {
    Tier.LB: "load balancer",
    Tier.APP: "application",
    Tier.DB: "database",
    Tier.MONITOR: "monitor",
    Tier.CACHE: "cache",
}

"""The tiers of the estate, one record each; every host belongs to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """The tiers in the order in which a request passes them. Hosts start in the reverse order.

    A tier's short name is its folder in `cloud-init/`, and part of host names (`db1`), tags and drill names.
    """

    LB = "lb"
    APP = "app"
    DB = "db"
    CACHE = "cache"
    MONITOR = "monitor"
    RESTORE = "restore"
    """No request passes it: a host that holds a restored copy of the database for a while."""

    @property
    def traits(self) -> Traits:
        return TRAITS[self]

    @property
    def role(self) -> str:
        return self.traits.role

    @property
    def public(self) -> bool:
        return self.traits.public


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The properties of a tier."""

    role: str
    """Its name in prose and in `ha status`."""
    settings_group: str
    """Its hosts' group in the settings."""
    first_address: int
    """Host n has this plus n as its address within its subnet. AWS reserves the first four addresses and the last."""
    main_unit: str
    """The systemd unit of its main service."""
    hosts: int | None = None
    """How many hosts it has; None: the `count` of its settings group."""
    on_demand: bool = False
    """Whether an operation launches its one host and ends it. The program makes all that the host needs."""
    public: bool = False
    """Whether its hosts are in the public subnets and may have the public address."""
    third_zone: bool = False
    """Whether it is in the third zone, if there is one: apart from both databases."""
    data_volume: bool = False
    """Whether its hosts have a volume that outlives them; `volume_gib` of its settings group is the size."""
    paired_with: Tier | None = None
    """Its hosts get the `pair` folder of cloud-init when this tier has two hosts; None: the tier itself."""


TRAITS: Mapping[Tier, Traits] = {
    Tier.LB: Traits(
        role="load balancer",
        settings_group="load_balancer",
        first_address=10,
        main_unit="haproxy",
        public=True,
    ),
    Tier.APP: Traits(
        role="application",
        settings_group="application",
        first_address=30,
        main_unit="event-manager",
    ),
    Tier.DB: Traits(
        role="database",
        settings_group="database",
        first_address=20,
        main_unit="pgautofailover",
        hosts=2,
        data_volume=True,
    ),
    Tier.CACHE: Traits(
        role="cache",
        settings_group="cache",
        first_address=15,
        main_unit="redis-server",
        data_volume=True,
    ),
    Tier.MONITOR: Traits(
        role="monitor",
        settings_group="monitor",
        first_address=10,
        main_unit="pgautofailover",
        hosts=1,
        third_zone=True,
        data_volume=True,
        paired_with=Tier.CACHE,  # a sentinel is on it
    ),
    Tier.RESTORE: Traits(
        role="restore",
        settings_group="database",
        first_address=25,
        main_unit="ha-restored",
        hosts=1,
        on_demand=True,
        data_volume=True,
    ),
}

PLANNED_TIERS: tuple[Tier, ...] = tuple(tier for tier in Tier if not TRAITS[tier].on_demand)
"""Those whose hosts the program makes."""

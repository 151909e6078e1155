"""Which tier may connect to which: the whole matrix of the security groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from spec import ports
from spec.tiers import PLANNED_TIERS, Tier

WORLD: Final = "world"
Peer = Tier | Literal["world"]
ANYWHERE = "0.0.0.0/0"


TCP = "tcp"
VRRP = "112"  # an IP protocol without ports


@dataclass(frozen=True)
class Flow:
    """One allowed flow between two tiers, or between a tier and the world; `port` is None for a protocol without ports.

    `why` becomes the rules' description. EC2 allows letters, digits, spaces and `._-:/()#,@[]+=&;{}!$*` in it.
    """

    source: Peer
    target: Peer
    port: int | None
    why: str
    protocol: str = TCP

    @property
    def name(self) -> str:
        return f"{self.source}-to-{self.target}-{self.port or self.protocol}"


FLOWS: tuple[Flow, ...] = (
    Flow(WORLD, Tier.LB, ports.HTTP, "visitors"),
    Flow(WORLD, Tier.LB, ports.HTTPS, "visitors"),
    Flow(Tier.LB, Tier.APP, ports.APPLICATION, "requests and health checks"),
    Flow(Tier.APP, Tier.DB, ports.POSTGRES, "queries"),
    Flow(Tier.APP, Tier.DB, ports.PRIMARY_CHECK, "which database host may be written to"),
    Flow(Tier.APP, Tier.CACHE, ports.REDIS, "sessions"),
    Flow(Tier.DB, Tier.DB, ports.POSTGRES, "replication, pg_rewind, base backup"),
    Flow(Tier.DB, Tier.MONITOR, ports.POSTGRES, "keepers report to the failover monitor"),
    Flow(Tier.MONITOR, Tier.DB, ports.POSTGRES, "health checks of the failover monitor"),
    *(
        Flow(Tier.MONITOR, tier, ports.NODE_EXPORTER, "host metrics")
        for tier in PLANNED_TIERS
        if tier is not Tier.MONITOR
    ),
    Flow(Tier.MONITOR, Tier.LB, ports.HAPROXY_STATS, "HAProxy metrics and statistics page"),
    Flow(Tier.MONITOR, Tier.APP, ports.APPLICATION, "application metrics"),
    Flow(Tier.MONITOR, Tier.DB, ports.POSTGRES_EXPORTER, "PostgreSQL metrics"),
    Flow(Tier.MONITOR, Tier.CACHE, ports.REDIS_EXPORTER, "Redis metrics"),
    *(Flow(tier, WORLD, ports.HTTP, "Debian mirrors") for tier in Tier),
    *(Flow(tier, WORLD, ports.HTTPS, "AWS APIs, S3") for tier in Tier),
)

# With two load balancers.
PAIR_OF_LOAD_BALANCERS: tuple[Flow, ...] = (
    Flow(Tier.LB, Tier.LB, None, "load balancers agree on who is active", VRRP),
)

# With two caches, and three sentinels, the third on the monitor.
PAIR_OF_CACHES: tuple[Flow, ...] = (
    Flow(Tier.CACHE, Tier.CACHE, ports.REDIS, "replication, and sentinels watch both"),
    Flow(Tier.CACHE, Tier.CACHE, ports.SENTINEL, "sentinels agree"),
    Flow(Tier.CACHE, Tier.MONITOR, ports.SENTINEL, "sentinels agree with the third"),
    Flow(Tier.MONITOR, Tier.CACHE, ports.REDIS, "the third sentinel watches both"),
    Flow(Tier.MONITOR, Tier.CACHE, ports.SENTINEL, "sentinels agree"),
)


def flows(*, load_balancers: int, caches: int) -> tuple[Flow, ...]:
    """All flows of an estate with this number of load balancers and caches."""
    pairs = (PAIR_OF_LOAD_BALANCERS if load_balancers > 1 else ()) + (PAIR_OF_CACHES if caches > 1 else ())
    return FLOWS + pairs

"""Who may talk to whom: the whole matrix of the security groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from components import ports
from components.tiers import Tier

WORLD: Final = "world"
Peer = Tier | Literal["world"]
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Flow:
    """One allowed TCP flow between two tiers, or between a tier and the world.

    `why` becomes the rules' description, for which EC2 takes letters, digits, spaces and `._-:/()#,@[]+=&;{}!$*` only.
    """

    source: Peer
    target: Peer
    port: int
    why: str

    @property
    def name(self) -> str:
        return f"{self.source}-to-{self.target}-{self.port}"


FLOWS: tuple[Flow, ...] = (
    Flow(WORLD, Tier.LB, ports.HTTP, "visitors"),
    Flow(WORLD, Tier.LB, ports.HTTPS, "visitors"),
    Flow(Tier.LB, Tier.APP, ports.APPLICATION, "requests and health checks"),
    Flow(Tier.APP, Tier.DB, ports.POSTGRES, "queries and the check for the writable primary"),
    Flow(Tier.APP, Tier.CACHE, ports.REDIS, "sessions"),
    Flow(Tier.DB, Tier.DB, ports.POSTGRES, "replication, pg_rewind, base backup"),
    Flow(Tier.DB, Tier.MONITOR, ports.POSTGRES, "keepers report to the failover monitor"),
    Flow(Tier.MONITOR, Tier.DB, ports.POSTGRES, "health checks of the failover monitor"),
    *(Flow(Tier.MONITOR, tier, ports.NODE_EXPORTER, "host metrics") for tier in Tier if tier is not Tier.MONITOR),
    Flow(Tier.MONITOR, Tier.LB, ports.HAPROXY_STATS, "HAProxy metrics and statistics page"),
    Flow(Tier.MONITOR, Tier.APP, ports.APPLICATION, "application metrics"),
    Flow(Tier.MONITOR, Tier.DB, ports.POSTGRES_EXPORTER, "PostgreSQL metrics"),
    Flow(Tier.MONITOR, Tier.CACHE, ports.REDIS_EXPORTER, "Redis metrics"),
    *(Flow(tier, WORLD, ports.HTTP, "Debian mirrors") for tier in Tier),
    *(Flow(tier, WORLD, ports.HTTPS, "AWS APIs, S3") for tier in Tier),
)

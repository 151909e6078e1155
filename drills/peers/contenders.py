"""The contenders: software that manages a database pair, and its settings. Why these numbers: docs/peers.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from drills.faults import PG_AUTO_FAILOVER, Software, on_targets
from ops.postgres import HA_POSTGRES
from spec.errors import EXIT_USAGE, HaError
from spec.settings import Settings
from spec.timers import Timers

_HERE = Path(__file__).resolve().parent

PATRONI = Software(
    unit="patroni",
    data="/srv/data/patroni/main",
    hand_over=on_targets("patronictl -c /etc/patroni/config.yml switchover --force"),
)

PLAIN_PG_AUTO_FAILOVER = replace(PG_AUTO_FAILOVER, hand_over=on_targets(f"{HA_POSTGRES} pg_autoctl perform switchover"))
"""Switched over by its own command, not by ours."""

POSTGRES_TIMERS: Mapping[str, int] = {
    "wal_sender_timeout_ms": 60_000,
    "wal_receiver_timeout_ms": 60_000,
    "wal_retrieve_retry_interval_ms": 5_000,
}
"""PostgreSQL 17's defaults; neither pg_auto_failover nor Patroni changes them."""

PG_AUTO_FAILOVER_TIMERS: Mapping[str, int] = {
    "health_check_period_ms": 5_000,
    "health_check_timeout_s": 5,
    "health_check_max_retries": 2,
    "health_check_retry_delay_ms": 2_000,
    "node_considered_unhealthy_ms": 20_000,
    "primary_demote_ms": 30_000,
    "startup_grace_ms": 10_000,
    "network_partition_s": 20,
    **POSTGRES_TIMERS,
}
"""pg_auto_failover 2.2's defaults: src/monitor/pg_auto_failover.c and src/bin/pg_autoctl/defaults.h."""


@dataclass(frozen=True, kw_only=True)
class PatroniSettings:
    """Patroni's dynamic configuration and etcd's timers; the defaults are theirs (Patroni 4.0, etcd 3.5)."""

    ttl_s: int = 30
    loop_wait_s: int = 10
    retry_timeout_s: int = 10
    primary_start_timeout_s: int = 300
    maximum_lag_on_failover_bytes: int = 1_048_576
    failsafe_mode: bool = False
    etcd_heartbeat_ms: int = 100
    etcd_election_ms: int = 1_000


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Software that manages the database pair. `overlay`: files that its hosts have besides or in place of ours."""

    name: str
    title: str
    software: Software
    overlay: Path | None = None
    timers: Mapping[str, int] = field(default_factory=dict)
    """Timers that differ from the stack's."""
    patroni: PatroniSettings | None = None

    def settings(self, stack: Settings) -> Settings:
        """The stack's settings with this contender's timers; not validated, as our rules would refuse them."""
        return stack.model_copy(update={"timers": stack.timers.model_copy(update=dict(self.timers))})

    def figures(self, timers: Timers) -> Mapping[str, int]:
        """The settings that decide how long its failover takes, by name."""
        own = timers.model_dump() | dict(self.timers)
        if self.patroni is None:
            ours = own if not self.timers else {name: own[name] for name in self.timers}
            return {name: value for name, value in ours.items() if name != "application_drain_s"}
        return asdict(self.patroni) | {name: own[name] for name in POSTGRES_TIMERS}


OURS = Contender(name="ours", title="ours", software=PG_AUTO_FAILOVER)
CONTENDERS: Mapping[str, Contender] = {
    one.name: one
    for one in (
        OURS,
        Contender(
            name="pg_auto_failover-defaults",
            title="pg_auto_failover, its defaults",
            software=PLAIN_PG_AUTO_FAILOVER,
            overlay=_HERE / "pg_auto_failover",
            timers=PG_AUTO_FAILOVER_TIMERS,
        ),
        Contender(
            name="patroni-defaults",
            title="Patroni, its defaults",
            software=PATRONI,
            overlay=_HERE / "patroni",
            timers=POSTGRES_TIMERS,
            patroni=PatroniSettings(),
        ),
        Contender(
            name="patroni-tuned",
            title="Patroni, tuned",
            software=PATRONI,
            overlay=_HERE / "patroni",
            patroni=PatroniSettings(
                ttl_s=20,
                loop_wait_s=1,
                retry_timeout_s=3,
                primary_start_timeout_s=0,
                etcd_heartbeat_ms=50,
                etcd_election_ms=500,
            ),
        ),
    )
}


def find(name: str) -> Contender:
    """The contender of this name. :raises HaError: with exit code 2, and the names of all contenders."""
    try:
        return CONTENDERS[name]
    except KeyError:
        raise HaError(
            f"no such contender: {name!r}",
            where="ha drill peers",
            fix=f"name one of {', '.join(CONTENDERS)}",
            exit_code=EXIT_USAGE,
        ) from None

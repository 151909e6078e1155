"""Every timer of the failover, in one object that refuses unsafe sets.

The names are pg_auto_failover's and PostgreSQL's own. What must hold is that a primary that may be replaced is closed
to applications before the other node may write, without leaning on synchronous replication. A lease in the kernel of
each database host sees to that (`ha-fence` in cloud-init/db): applications are let in for `fence_lease_ms` from the
moment at which a witness was asked who then answered that no other node is on its way. A witness last says so

- the failover monitor, before it assigns `demote_timeout` to the old primary: from then on it waits
  `primary_demote_ms` until it lets the other node write (pg_auto_failover 2.2, group_state_machine.c);
- the other node, before the first act of its promotion: after that pg_auto_failover waits `PROMOTION_PAUSE_MS` in every
  failover before it looks whether PostgreSQL is ready (primary_standby.c, standby_promote).

So the lease, with `FENCE_SLACK_MS` for a busy host, has to be shorter than either. When the fault began, what was cut
and how long detection took do not matter.

A health check's timeout is whole seconds: the monitor adds milliseconds to a time without carrying them over, so that
every other timeout ends at the next whole second, be it a hundredth of one away (decision 22).
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

KEEPER_LOOP_MS: Final = 1000  # PG_AUTOCTL_KEEPER_SLEEP_TIME in pg_auto_failover's defaults.h
PROMOTION_PAUSE_MS: Final = 1000  # AWAIT_PROMOTION_SLEEP_TIME_MS, in the same place
FENCE_SLACK_MS: Final = 150  # a reload of settings that a session has not seen yet; a rule that the kernel takes late
FENCE_LOOKS_MS: Final = 500  # two looks of the fence and the time that the second takes to answer

Milliseconds = Annotated[int, Field(gt=0, le=600_000)]
WholeSeconds = Annotated[int, Field(ge=1, le=600)]


class Timers(BaseModel):
    """The timers of a stack. `_ms` is milliseconds, `_s` seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    health_check_period_ms: Milliseconds = 500
    health_check_timeout_s: WholeSeconds = 1
    health_check_max_retries: Annotated[int, Field(ge=1, le=10)] = 1
    health_check_retry_delay_ms: Milliseconds = 10
    node_considered_unhealthy_ms: Milliseconds = 1250
    primary_demote_ms: Milliseconds = 1000
    startup_grace_ms: Milliseconds = 2000
    fence_lease_ms: Milliseconds = 800
    network_partition_s: WholeSeconds = 2
    wal_sender_timeout_ms: Milliseconds = 2000
    wal_receiver_timeout_ms: Milliseconds = 3000
    wal_retrieve_retry_interval_ms: Milliseconds = 500
    application_drain_s: Annotated[int, Field(ge=0, le=300)] = 3

    @property
    def fenced_by_ms(self) -> int:
        """Latest moment, after the last word of a witness, at which a primary is closed to applications."""
        return self.fence_lease_ms + FENCE_SLACK_MS

    @property
    def promoted_from_ms(self) -> int:
        """Earliest moment, after the last word of a witness, at which the other node may accept writes."""
        return min(self.primary_demote_ms, PROMOTION_PAUSE_MS)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.fenced_by_ms >= self.promoted_from_ms:
            raise ValueError(
                f"unsafe: an old primary may let applications in for {self.fenced_by_ms} ms (fence_lease_ms "
                f"{self.fence_lease_ms} + {FENCE_SLACK_MS} ms of slack), but the other node may write from "
                f"{self.promoted_from_ms} ms (the lesser of primary_demote_ms {self.primary_demote_ms} and the "
                f"{PROMOTION_PAUSE_MS} ms for which a promotion pauses); the first must be less than the second"
            )
        if self.fence_lease_ms < FENCE_LOOKS_MS:
            raise ValueError(
                f"fence_lease_ms {self.fence_lease_ms} must be {FENCE_LOOKS_MS} or more, or a single late answer keeps "
                "applications out of a healthy primary"
            )
        if self.node_considered_unhealthy_ms <= KEEPER_LOOP_MS:
            raise ValueError(
                f"unsafe: a healthy node reports once in {KEEPER_LOOP_MS} ms, so node_considered_unhealthy_ms "
                f"{self.node_considered_unhealthy_ms} must be more than that or healthy nodes fail over"
            )
        return self

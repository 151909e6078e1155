"""Every timer of the failover, in one object that refuses unsafe sets.

The names are pg_auto_failover's and PostgreSQL's own. The invariant: a primary that may be replaced is closed to
applications before the other node may write, without relying on synchronous replication. A lease in the kernel of each
database host ensures it (`ha-fence` in cloud-init/db): applications can connect for `fence_lease_ms` from the moment at
which a witness was asked that then answered that no other node is being promoted. The last such answer comes

- from the failover monitor, before it assigns `demote_timeout` to the old primary: after that it waits
  `primary_demote_ms` until it lets the other node write (pg_auto_failover 2.2, group_state_machine.c);
- from the other node, before the first act of its promotion: after that pg_auto_failover waits `PROMOTION_PAUSE_MS` in
  every failover before it checks whether PostgreSQL is ready (primary_standby.c, standby_promote).

So the lease, with `FENCE_SLACK_MS` for a busy host, must be shorter than either. It does not matter when the fault
began, what was cut, or how long detection took.

A health check's timeout is in whole seconds: the monitor adds milliseconds to a time without a carry, so that any other
timeout ends at the next whole second, even if that is a hundredth of a second away (decision 22).
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

KEEPER_LOOP_MS: Final = 1000  # PG_AUTOCTL_KEEPER_SLEEP_TIME in pg_auto_failover's defaults.h
PROMOTION_PAUSE_MS: Final = 1000  # AWAIT_PROMOTION_SLEEP_TIME_MS, in the same place
FENCE_SLACK_MS: Final = 150  # a session that has not read reloaded settings yet; a rule that the kernel applies late
FENCE_LOOKS_MS: Final = 500  # two polls of the fence, and the time until the second is answered

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
        """Latest moment at which a primary is closed to applications, after the last yes of a witness."""
        return self.fence_lease_ms + FENCE_SLACK_MS

    @property
    def promoted_from_ms(self) -> int:
        """Earliest moment at which the other node may accept writes, after the last yes of a witness."""
        return min(self.primary_demote_ms, PROMOTION_PAUSE_MS)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.fenced_by_ms >= self.promoted_from_ms:
            raise ValueError(
                f"unsafe: an old primary may accept applications for {self.fenced_by_ms} ms (fence_lease_ms "
                f"{self.fence_lease_ms} + {FENCE_SLACK_MS} ms of slack), but the other node may write after "
                f"{self.promoted_from_ms} ms (the lesser of primary_demote_ms {self.primary_demote_ms} and the "
                f"{PROMOTION_PAUSE_MS} ms pause of a promotion); the first must be less than the second"
            )
        if self.fence_lease_ms < FENCE_LOOKS_MS:
            raise ValueError(
                f"fence_lease_ms {self.fence_lease_ms} must be {FENCE_LOOKS_MS} or more, or a single late answer "
                "closes a healthy primary to applications"
            )
        if self.node_considered_unhealthy_ms <= KEEPER_LOOP_MS:
            raise ValueError(
                f"unsafe: a healthy node reports every {KEEPER_LOOP_MS} ms, so node_considered_unhealthy_ms "
                f"{self.node_considered_unhealthy_ms} must be more than that, or healthy nodes fail over"
            )
        return self

"""Every timer of the failover, in one object that refuses unsafe sets.

The names are pg_auto_failover's and PostgreSQL's own. Two bounds follow from them for a primary that is cut off from
both its peers; both count from its last contact with the failover monitor:

- `fenced_by_ms`: the latest moment at which it has stopped accepting writes. Its keeper counts the standby as present
  until `wal_sender_timeout_ms` has passed, then waits `network_partition_s`, in whole seconds that have to be exceeded;
  a loop of it takes `ISOLATED_LOOP_MS` while the monitor does not answer, and stopping PostgreSQL a moment.
  (Read in pg_auto_failover 2.2's keeper.c; with 3 s and 2 s it was seen to stop after 4.4 and 6.4 s.)
- `promoted_from_ms`: the earliest moment at which the other node may accept writes. The monitor calls a node
  unhealthy only after `node_considered_unhealthy_ms` without a report, then waits `primary_demote_ms` before it lets
  the standby go on.

`fenced_by_ms < promoted_from_ms` is what keeps two nodes from being writable at once without leaning on synchronous
replication.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

KEEPER_LOOP_MS: Final = 1000  # PG_AUTOCTL_KEEPER_SLEEP_TIME in pg_auto_failover's defaults.h
ISOLATED_LOOP_MS: Final = 2000  # the same loop with a connection attempt to a monitor that does not answer
STOP_POSTGRES_MS: Final = 500  # a fast shutdown of an isolated primary, whose clients cannot wait for its answer

Milliseconds = Annotated[int, Field(gt=0, le=600_000)]


class Timers(BaseModel):
    """The timers of a stack. `_ms` is milliseconds, `_s` seconds.

    Shorter sets have been rehearsed that wrote again 6 to 9 s after a primary's loss and lost nothing, but leaned on
    synchronous replication alone to fence the old primary; these defaults do not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    health_check_period_ms: Milliseconds = 500
    health_check_timeout_ms: Milliseconds = 1000
    health_check_max_retries: Annotated[int, Field(ge=0, le=10)] = 1
    health_check_retry_delay_ms: Milliseconds = 250
    node_considered_unhealthy_ms: Milliseconds = 2000
    primary_demote_ms: Milliseconds = 7000
    startup_grace_ms: Milliseconds = 2000
    network_partition_s: Annotated[int, Field(ge=1, le=600)] = 2
    wal_sender_timeout_ms: Milliseconds = 3000
    wal_receiver_timeout_ms: Milliseconds = 3000
    wal_retrieve_retry_interval_ms: Milliseconds = 500
    application_drain_s: Annotated[int, Field(ge=0, le=300)] = 3

    @property
    def fenced_by_ms(self) -> int:
        """Latest moment, after its last contact, at which a cut-off primary has stopped accepting writes."""
        return self.wal_sender_timeout_ms + (self.network_partition_s + 1) * 1000 + ISOLATED_LOOP_MS + STOP_POSTGRES_MS

    @property
    def promoted_from_ms(self) -> int:
        """Earliest moment, after the primary's last contact, at which the standby may accept writes."""
        return self.node_considered_unhealthy_ms + self.primary_demote_ms

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.fenced_by_ms >= self.promoted_from_ms:
            raise ValueError(
                f"unsafe: a cut-off primary may accept writes for {self.fenced_by_ms} ms (wal_sender_timeout_ms "
                f"{self.wal_sender_timeout_ms} + network_partition_s {self.network_partition_s} s + 1 s + keeper loop "
                f"{ISOLATED_LOOP_MS} ms + stop {STOP_POSTGRES_MS} ms), "
                f"but the standby may from {self.promoted_from_ms} ms (node_considered_unhealthy_ms "
                f"{self.node_considered_unhealthy_ms} + primary_demote_ms {self.primary_demote_ms}); "
                "the first must be less than the second"
            )
        slowest_report_ms = KEEPER_LOOP_MS + self.health_check_period_ms
        if self.node_considered_unhealthy_ms <= slowest_report_ms:
            raise ValueError(
                f"unsafe: a healthy node reports once in {KEEPER_LOOP_MS} ms and is checked once in "
                f"{self.health_check_period_ms} ms, so node_considered_unhealthy_ms "
                f"{self.node_considered_unhealthy_ms} must be more than {slowest_report_ms} or healthy nodes fail over"
            )
        return self

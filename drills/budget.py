"""How long each database fault may take, added up from the timers: detection, fencing, promotion, routing. Pure.

These are worst cases of what the software is told to do, not measurements: on a machine that is short of processors
each part may take longer. What cannot be computed, because no timer ends it, is said so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spec.limits import POOL_RETRY_MS, ROUTE_CHECK_MS
from spec.timers import KEEPER_LOOP_MS, PROMOTION_PAUSE_MS, Timers

PROMOTION_MS: Final = 800
"""What a promotion takes besides its pause: three reports to the monitor, a checkpoint, two reloads (0.3 to 0.5 s were
measured)."""
RESTART_MS: Final = 3000
"""A keeper starts its PostgreSQL again after a crash, recovery of a small database included."""
COMMIT_WAITS_MS: Final = 1000
"""A commit that waits for longer is looked into by `stalled-standby` (cloud-init/db)."""
STALL_MS: Final = 250 + KEEPER_LOOP_MS + 250
"""Until it is sure: a look that finds no way to the standby, the standby's next report, a look that finds that."""
STILL_MS: Final = 500 + 11 * 500
"""A volume is given up by `stalled-disk` (cloud-init/db): a write, and eleven looks at which it is not back."""
RELEASE_MS: Final = KEEPER_LOOP_MS
"""The primary is told not to wait for its standby any more."""
HAND_OVER_MS: Final = 2000
"""A switchover: the primary shuts down, the standby takes over; both are told without a wait."""
ROUTE_LOOK_MS: Final = 100
"""What such a look takes."""
POOL_ROUND_MS: Final = 333
"""When nothing else wakes it, pgbouncer goes round its pools three times a second."""
ROUTING_MS: Final = ROUTE_CHECK_MS + ROUTE_LOOK_MS + POOL_RETRY_MS + POOL_ROUND_MS


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The parts of a fault's outage, in milliseconds. `unbounded` says why no timer ends it; the parts are 0 then."""

    fault: str
    detection_ms: int = 0
    fencing_ms: int = 0
    promotion_ms: int = 0
    routing_ms: int = ROUTING_MS
    unbounded: str = ""

    @property
    def total_ms(self) -> int:
        return self.detection_ms + self.fencing_ms + self.promotion_ms + self.routing_ms


def silent_detection_ms(timers: Timers) -> int:
    """Until the monitor gives up a node that answers nothing: its health check has to fail with all retries, and its
    last report to be old.
    """
    return _given_up_ms(timers, _tries_ms(timers, timers.health_check_timeout_s * 1000))


def refused_detection_ms(timers: Timers) -> int:
    """The same for a node whose host still answers that nobody listens: no health check waits for its timeout."""
    return _given_up_ms(timers, _tries_ms(timers, 0))


def _tries_ms(timers: Timers, try_ms: int) -> int:
    """Until all tries of a health check have failed. The monitor waits after the last one too."""
    return (timers.health_check_max_retries + 1) * (try_ms + timers.health_check_retry_delay_ms)


def _given_up_ms(timers: Timers, check_ms: int) -> int:
    """With health checks that take `check_ms` to fail. When they have, the monitor tells the other node, whose report
    decides; if the last report of the lost one is not old enough by then, the next report does.
    """
    failed_ms = timers.health_check_period_ms + check_ms
    if timers.node_considered_unhealthy_ms <= check_ms:
        return failed_ms
    return max(failed_ms, timers.node_considered_unhealthy_ms) + KEEPER_LOOP_MS


def fencing_ms(timers: Timers) -> int:
    """From the verdict to the end of the old primary's time. The promotion's pause is part of it; when it is over and
    the time is not, the standby asks again with its next report.
    """
    if timers.primary_demote_ms <= PROMOTION_PAUSE_MS:
        return PROMOTION_PAUSE_MS
    return timers.primary_demote_ms + KEEPER_LOOP_MS


def budgets(timers: Timers) -> tuple[Budget, ...]:
    """The budget of each database fault, by the name of its drill."""
    silent, refused = silent_detection_ms(timers), refused_detection_ms(timers)

    def failover(fault: str, detection_ms: int) -> Budget:
        return Budget(
            fault=fault,
            detection_ms=detection_ms,
            fencing_ms=fencing_ms(timers),
            promotion_ms=PROMOTION_MS,
        )

    return (
        failover("db-stop", refused),
        failover("db-stop-no-drain", refused),
        _killed(timers, failover("db-kill", refused)),
        failover("db-hang", silent),
        failover("db-host-kill", silent),
        failover("db-power-loss", silent),
        failover("db-network-cut", silent),
        failover("db-packet-loss", silent),
        failover("db-partition-monitor", silent),
        Budget(
            fault="db-partition-peer",
            detection_ms=COMMIT_WAITS_MS + STALL_MS,
            promotion_ms=RELEASE_MS,
            routing_ms=0,
        ),
        failover("db-partition-both", silent),
        Budget(
            fault="db-disk-full",
            routing_ms=0,
            unbounded="a primary that cannot store rows still answers health checks; an alert comes before it is full",
        ),
        failover("db-disk-stall", STILL_MS + refused),
        Budget(
            fault="db-standby-disk-stall",
            detection_ms=STILL_MS + refused,
            promotion_ms=RELEASE_MS,
            routing_ms=0,
        ),
        Budget(fault="db-switchover", promotion_ms=HAND_OVER_MS),
    )


def _killed(timers: Timers, failover: Budget) -> Budget:
    """Its keeper starts PostgreSQL again, but the monitor may not wait for that."""
    restart = Budget(fault="db-kill", detection_ms=KEEPER_LOOP_MS, promotion_ms=RESTART_MS)
    waits = timers.node_considered_unhealthy_ms > restart.detection_ms + restart.promotion_ms
    return restart if waits else failover


def markdown(timers: Timers) -> str:
    """The budgets as a table, and how the old primary is fenced."""
    lines = ["| fault | detection | fencing | promotion | routing | at most |", "|---|---|---|---|---|---|"]
    for one in budgets(timers):
        if one.unbounded:
            lines.append(f"| `{one.fault}` | | | | | no limit: {one.unbounded} |")
            continue
        parts = (one.detection_ms, one.fencing_ms, one.promotion_ms, one.routing_ms, one.total_ms)
        lines.append(f"| `{one.fault}` | " + " | ".join(seconds(part) for part in parts) + " |")
    return "\n".join([*lines, "", fence(timers)]) + "\n"


def fence(timers: Timers) -> str:
    """The safety inequality with its numbers."""
    return (
        f"A primary that may be replaced is closed to applications {seconds(timers.fenced_by_ms)} after the last word "
        f"of a witness at the latest; the other node may accept writes {seconds(timers.promoted_from_ms)} after it at "
        "the earliest."
    )


def seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.2f} s"

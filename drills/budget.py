"""The longest outage that each database fault may cause, added up from the timers. Pure.

The parts are detection, fencing, promotion and routing. They are the worst cases of the configured timers, not
measurements: on a machine that is short of processors each part may take longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spec.limits import POOL_RETRY_MS, ROUTE_CHECK_MS
from spec.timers import KEEPER_LOOP_MS, PROMOTION_PAUSE_MS, Timers

PROMOTION_MS: Final = 800
"""A promotion without its pause: three reports to the monitor, a checkpoint, two reloads (0.3 to 0.5 s measured)."""
RESTART_MS: Final = 3000
"""The keeper starts PostgreSQL again after a crash; with the recovery of a small database."""
COMMIT_WAITS_MS: Final = 1000
"""`stalled-standby` (cloud-init/db) examines a commit that has waited for longer."""
STALL_MS: Final = 250 + KEEPER_LOOP_MS + 250
"""Until it decides: a check that does not reach the standby, the standby's next report, a check that finds it."""
STILL_MS: Final = 500 + 11 * 500
"""`stalled-disk` (cloud-init/db) stops PostgreSQL after a write that has not returned at eleven checks."""
RELEASE_MS: Final = KEEPER_LOOP_MS
"""The primary's keeper learns that commits need no longer wait for the standby."""
HAND_OVER_MS: Final = 2000
"""A switchover: the primary shuts down, the standby takes over. Nothing has to be detected."""
ROUTE_CHECK_TAKES_MS: Final = 100
"""How long a check takes of a node that is down."""
POOL_ROUND_MS: Final = 333
"""pgbouncer checks its pools three times a second when no event makes it check them earlier."""
ROUTING_MS: Final = ROUTE_CHECK_MS + ROUTE_CHECK_TAKES_MS + POOL_RETRY_MS + POOL_ROUND_MS


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The parts of a fault's outage, in milliseconds. Where no timer ends it, `unbounded` says why, and all are 0."""

    fault: str
    detection_ms: int = 0
    fencing_ms: int = 0
    promotion_ms: int = 0
    routing_ms: int = ROUTING_MS
    unbounded: str = ""

    @property
    def total_ms(self) -> int:
        return self.detection_ms + self.fencing_ms + self.promotion_ms + self.routing_ms


def no_answer_detection_ms(timers: Timers) -> int:
    """Until the monitor marks a node as lost that does not answer: its health check must fail with all retries, and
    its last report must be old.
    """
    return _lost_after_ms(timers, _failed_check_ms(timers, timers.health_check_timeout_s * 1000))


def refused_detection_ms(timers: Timers) -> int:
    """The same for a node whose host refuses connections: no health check waits for its timeout."""
    return _lost_after_ms(timers, _failed_check_ms(timers, 0))


def _failed_check_ms(timers: Timers, attempt_ms: int) -> int:
    """How long a health check takes to fail with all retries. The monitor waits after the last attempt too."""
    return (timers.health_check_max_retries + 1) * (attempt_ms + timers.health_check_retry_delay_ms)


def _lost_after_ms(timers: Timers, check_ms: int) -> int:
    """Until the monitor marks a node as lost, with health checks that take `check_ms` to fail.

    After a failed check the monitor notifies the other node, and decides at that node's report. If the lost node's last
    report is not old enough by then, it decides at the next one.
    """
    failed_ms = timers.health_check_period_ms + check_ms
    if timers.node_considered_unhealthy_ms <= check_ms:
        return failed_ms
    return max(failed_ms, timers.node_considered_unhealthy_ms) + KEEPER_LOOP_MS


def fencing_ms(timers: Timers) -> int:
    """From the decision until the old primary must have stopped. The promotion's pause runs at the same time. If the
    pause ends first, the standby goes on at its next report.
    """
    if timers.primary_demote_ms <= PROMOTION_PAUSE_MS:
        return PROMOTION_PAUSE_MS
    return timers.primary_demote_ms + KEEPER_LOOP_MS


def budgets(timers: Timers) -> tuple[Budget, ...]:
    """The budget of each database fault, by the name of its drill."""
    no_answer, refused = no_answer_detection_ms(timers), refused_detection_ms(timers)

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
        failover("db-hang", no_answer),
        failover("db-host-kill", no_answer),
        failover("db-power-loss", no_answer),
        failover("db-network-cut", no_answer),
        failover("db-packet-loss", no_answer),
        failover("db-partition-monitor", no_answer),
        Budget(
            fault="db-partition-peer",
            detection_ms=COMMIT_WAITS_MS + STALL_MS,
            promotion_ms=RELEASE_MS,
            routing_ms=0,
        ),
        failover("db-partition-both", no_answer),
        Budget(
            fault="db-disk-full",
            routing_ms=0,
            unbounded="a primary that cannot store rows still answers health checks; an alert fires before it is full",
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
    """The keeper starts PostgreSQL again, unless the monitor marks the node as lost before."""
    restart = Budget(fault="db-kill", detection_ms=KEEPER_LOOP_MS, promotion_ms=RESTART_MS)
    waits = timers.node_considered_unhealthy_ms > restart.detection_ms + restart.promotion_ms
    return restart if waits else failover


def fence(timers: Timers) -> str:
    """The two times that keep an old primary and a new one apart, in words."""
    return (
        f"A primary is closed to applications at most {seconds(timers.fenced_by_ms)} after a witness last confirmed "
        f"it; the other node accepts writes {seconds(timers.promoted_from_ms)} after that at the earliest."
    )


def seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.2f} s"

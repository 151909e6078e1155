"""The promises in numbers, and whether what a drill measured keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drills.measure import Figures, percentile

P95_RUNS: Final = 10
"""With fewer runs, the 95th percentile is the maximum."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Limits; None where nothing is promised. Always promised: no acknowledged write is lost or stored twice, and two
    nodes never accept writes at the same time.
    """

    text: str
    guide: str
    guide_s: float | None = None
    """The guide's figure in seconds; None where it does not cover the fault."""
    outage_s: float | None = None
    """The longest outage of writes, and of reads. Requests that begin later after the fault do not fail."""
    p95_outage_s: float | None = None
    """Over all runs of a drill, from `P95_RUNS` runs on."""
    failed: int | None = None
    failed_idempotent: int | None = None
    """Failed reads, and failed writes with an idempotency key: what is safe to send again."""
    max_latency_s: float | None = None
    signed_out: int | None = None
    """How many requests may find their session gone (401)."""
    paged_s: float | None = None
    """How long it may take until somebody is paged by the alert `alert`."""
    alert: str = ""
    failovers: int | None = None
    """How often the failover monitor may tell a standby to take over."""
    reason: str = ""
    """Why the limits are not lower, or why some runs do not keep them; for the reader of a report."""


@dataclass(frozen=True, kw_only=True)
class Measured(Figures):
    """What a promise is compared with: what visitors saw, and what ledger, probe and monitor found."""

    lost: int
    doubled: int
    two_primaries: bool
    paged_s: float | None
    """How long it took until somebody was paged; None when nobody was."""
    failovers: int | None
    """How often a standby was told to take over; None when the failover monitor did not answer."""


def broken_by(promise: Promise, seen: Measured) -> list[str]:
    """What breaks the promise, a sentence each; empty when it is kept."""
    limits: Sequence[tuple[str, float | None, float]] = (
        ("no write was acknowledged for {:.1f} s, promised {:g} s at most", promise.outage_s, seen.outage_s),
        ("no read was answered for {:.1f} s, promised {:g} s at most", promise.outage_s, seen.read_outage_s),
        (
            "a request that began {:.1f} s after the fault failed, promised {:g} s at most",
            promise.outage_s,
            seen.last_failed_s or 0.0,
        ),
        ("{:g} requests failed, promised {:g} at most", promise.failed, seen.failed),
        ("{:g} idempotent requests failed, promised {:g} at most", promise.failed_idempotent, seen.failed_idempotent),
        ("a request took {:.1f} s, promised {:g} s at most", promise.max_latency_s, seen.max_latency_s),
        ("{:g} requests found their session gone, promised {:g} at most", promise.signed_out, seen.signed_out),
    )
    found = [text.format(value, limit) for text, limit, value in limits if limit is not None and value > limit]
    if promise.paged_s is not None and (seen.paged_s is None or seen.paged_s > promise.paged_s):
        found.append(f"nobody was paged within {promise.paged_s:g} s")
    if promise.failovers is not None:
        if seen.failovers is None:
            found.append("the failover monitor did not answer, so its failovers are not known")
        elif seen.failovers > promise.failovers:
            found.append(f"{seen.failovers} failovers, promised {promise.failovers} at most")
    if seen.lost:
        found.append(f"{seen.lost} acknowledged writes were lost")
    if seen.doubled:
        found.append(f"{seen.doubled} writes were stored twice")
    if seen.two_primaries:
        found.append("two nodes accepted writes at the same time")
    return found


def p95_broken(promise: Promise, outages_s: Sequence[float]) -> str:
    """How the promise of the 95th percentile is broken; empty when it is kept, or when there are too few runs."""
    if promise.p95_outage_s is None or len(outages_s) < P95_RUNS:
        return ""
    seen = percentile(outages_s, 95)
    if seen <= promise.p95_outage_s:
        return ""
    return f"p95 of {len(outages_s)} outages is {seen:.1f} s, promised {promise.p95_outage_s:g} s at most"


APPLICATION = Promise(
    text="0 failed idempotent requests, none over 2 s",
    guide="< 30 s",
    guide_s=30.0,
    failed_idempotent=0,
    max_latency_s=2.0,
)
LOAD_BALANCER = Promise(
    text="back within 3 s",
    guide="not covered",
    outage_s=3.0,
    reason="For 15 s after the address has moved, the other load balancer ignores that it receives no packets: on AWS "
    "packets follow a move only after seconds. A loss within that time that only visitors see is noticed at its end.",
)
DATABASE = Promise(
    text="writable again within 8 s, p95 within 5 s",
    guide="< 60 s",
    guide_s=60.0,
    outage_s=8.0,
    p95_outage_s=5.0,
    reason="A host that answers nothing is marked lost after two health checks of a second each: with shorter ones a "
    "healthy pair fails over under the soak's stress. With fencing, promotion and routing that adds up to what "
    "`ha drill budget` prints, somewhat over 5 s at most. A run that took longer was short of processor time: in the "
    "lab all hosts share those of one machine.",
)
STALLED_DISK = Promise(
    text="writable again within 15 s",
    guide="not covered",
    outage_s=15.0,
    reason="A volume that is only busy must not cause a failover: its host waits for five seconds before it stops a "
    "PostgreSQL whose volume does not answer, and only then does the failover begin.",
)
SWITCHOVER = Promise(
    text="0 failed requests, no write waits over 3 s",
    guide="< 5 min, by hand",
    guide_s=300.0,
    failed=0,
    max_latency_s=3.0,
    reason="A switchover takes two seconds and more; one of them is a pause of the keeper in each promotion. The "
    "requests that waited are then answered one after another, which takes up to a second more in some runs of the "
    "lab.",
)
CHANGE = Promise(
    text="every host changed, 0 failed requests, no request waits over 3 s",
    guide="not covered",
    failed=0,
    max_latency_s=3.0,
)
REFUSED_CHANGE = Promise(
    text="refused and undone, 0 failed requests, no request waits over 3 s",
    guide="not covered",
    failed=0,
    max_latency_s=3.0,
)
INTERRUPTED_CHANGE = Promise(
    text="settled by the next update, 0 failed requests, no request waits over 3 s",
    guide="not covered",
    failed=0,
    max_latency_s=3.0,
)
CHANGE_AND_FAILOVER = Promise(
    text="changed or undone, writable again within 8 s",
    guide="not covered",
    outage_s=8.0,
    reason="The primary loses its power while the change is rolled out: that is a failover, with its promise.",
)
CACHE_RESTART = Promise(
    text="every host changed, sessions back within 5 s",
    guide="not covered",
    outage_s=5.0,
    signed_out=0,
    reason="A single Redis cannot hand over: it is away while it restarts.",
)
CACHE = Promise(
    text="0 failed requests, sessions back within 5 s", guide="not covered", failed=0, outage_s=5.0, signed_out=0
)
ZONE = Promise(text="back within 10 s", guide="not covered", outage_s=10.0, signed_out=0)
UNNOTICED = Promise(text="no failed request", guide="not covered", failed=0)
MONITOR = Promise(
    text="no failed request, somebody is paged within 2 min",
    guide="not covered",
    failed=0,
    paged_s=120.0,
    alert="MonitorSilent",
)
SOAK = Promise(text="no failover in 30 minutes", guide="not covered", failovers=0)
COPIED_ANEW = Promise(
    text="0 failed requests, redundant again within 120 s, by itself",
    guide="not covered",
    failed=0,
    failovers=0,
    reason="A standby that can never catch up copies all data of the primary. How long that takes is a question of the "
    "database's size, and of the 100 MB/s that pg_auto_failover copies at most; the drill's is small.",
)
RESTORED = Promise(
    text="all that was acknowledged before that time is back, nothing of after it; 0 failed requests",
    guide="not covered",
    failed=0,
    reason="The restore is beside the running database, on a host of its own. Rows are copied back by a person, which "
    "is not in the figures.",
)
RESTORED_THROUGH_FAILOVER = Promise(
    text="all that was acknowledged before that time is back, over the failover too; writable again within 8 s",
    guide="not covered",
    outage_s=8.0,
    reason="What the lost primary had not archived, the new one archives; the restore begins with a backup of before.",
)
BACKUP_DURING_FAILOVER = Promise(
    text="writable again within 8 s, no damaged backup, and the next one succeeds",
    guide="not covered",
    outage_s=8.0,
)
ARCHIVE_UNREACHABLE = Promise(
    text="0 failed requests, somebody is paged within 10 min, all is archived within 3 min of the end",
    guide="not covered",
    failed=0,
    paged_s=600.0,
    alert="ArchiveStalled",
    reason="A segment of WAL may stay open for a minute, and one that waits is tolerated for five minutes, and for two "
    "more before the alert. PostgreSQL tries again once a minute.",
)
SAFE = Promise(
    text="no acknowledged write lost, never two writable primaries",
    guide="not covered",
    reason="Availability is not promised: only the failover monitor may let a primary go on without its standby, so "
    "writes wait until one of the two is back.",
)

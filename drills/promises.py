"""The promises, in numbers, in this one place; and whether what was measured keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drills.measure import Figures, percentile

P95_RUNS: Final = 10
"""In fewer the 95th percentile is a word for the worst."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Limits; None where nothing is promised. Nothing acknowledged is ever lost, and two nodes never accept writes."""

    text: str
    guide: str
    guide_s: float | None = None
    """The guide's figure in seconds; None where it does not cover the fault."""
    outage_s: float | None = None
    """Of writes, and of reads; nor does a request fail that begins later after the fault than this."""
    p95_outage_s: float | None = None
    """Held over the repeats of a drill, not over each; of `P95_RUNS` or more."""
    failed: int | None = None
    failed_idempotent: int | None = None
    """Reads, and writes that carry a key by which they are stored once: what may be asked again."""
    max_latency_s: float | None = None
    signed_out: int | None = None
    """How many requests may find their session gone."""
    paged_s: float | None = None
    """How long it may take until somebody is told of `alert`."""
    alert: str = ""
    failovers: int | None = None
    """How often a standby may be told to take over."""
    reason: str = ""
    """Why it is not better, or why some faults do not keep it: a sentence or two for the reader of a report."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a promise is held against."""

    figures: Figures
    lost: int
    doubled: int
    two_primaries: bool
    paged_s: float | None
    """How long it took until somebody was told; None when nobody was."""
    failovers: int | None
    """How often a standby was told to take over; None when nobody could say."""


def broken_by(promise: Promise, seen: Measured) -> list[str]:
    """What breaks the promise, in words; empty when it is kept."""
    figures = seen.figures
    limits: Sequence[tuple[str, float | None, float]] = (
        ("writes were out for {:.1f} s, at most {:g}", promise.outage_s, figures.outage_s),
        ("reads were out for {:.1f} s, at most {:g}", promise.outage_s, figures.read_outage_s),
        (
            "requests failed that began {:.1f} s after the fault, at most {:g}",
            promise.outage_s,
            figures.last_failed_s or 0.0,
        ),
        ("{:g} requests failed, at most {:g}", promise.failed, figures.failed),
        ("{:g} idempotent requests failed, at most {:g}", promise.failed_idempotent, figures.failed_idempotent),
        ("a request took {:.1f} s, at most {:g}", promise.max_latency_s, figures.max_latency_s),
        ("{:g} requests found their session gone, at most {:g}", promise.signed_out, figures.signed_out),
    )
    found = [text.format(value, limit) for text, limit, value in limits if limit is not None and value > limit]
    if promise.paged_s is not None and (seen.paged_s is None or seen.paged_s > promise.paged_s):
        found.append(f"nobody was told within {promise.paged_s:g} s")
    if promise.failovers is not None:
        if seen.failovers is None:
            found.append("the failover monitor could not say what it decided")
        elif seen.failovers > promise.failovers:
            found.append(f"{seen.failovers} failovers, at most {promise.failovers}")
    if seen.lost:
        found.append(f"{seen.lost} acknowledged writes are lost")
    if seen.doubled:
        found.append(f"{seen.doubled} writes were stored twice")
    if seen.two_primaries:
        found.append("two nodes accepted writes at once")
    return found


def p95_broken(promise: Promise, outages_s: Sequence[float]) -> str:
    """What breaks the promise about the 95th percentile, in words; empty when it is kept, or there are too few runs."""
    if promise.p95_outage_s is None or len(outages_s) < P95_RUNS:
        return ""
    seen = percentile(outages_s, 95)
    if seen <= promise.p95_outage_s:
        return ""
    return f"p95 of {len(outages_s)} outages is {seen:.1f} s, at most {promise.p95_outage_s:g}"


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
    reason="For 15 s after the other load balancer saw the address move, silence there says nothing: on AWS packets "
    "follow a move by seconds. A loss that only visitors see within that time is noticed at its end.",
)
DATABASE = Promise(
    text="writable again within 8 s, p95 within 5 s",
    guide="< 60 s",
    guide_s=60.0,
    outage_s=8.0,
    p95_outage_s=5.0,
    reason="A host that answers nothing is given up after two health checks of a second each: shorter ones end in "
    "failovers of a healthy pair under the soak's stress. With fencing, promotion and routing that adds up to what "
    "`ha drill budget` prints, somewhat over 5 s at worst for a silent host. What a run took longer is the machine's, "
    "on whose processors all hosts of the lab are.",
)
STALLED_DISK = Promise(
    text="writable again within 15 s",
    guide="not covered",
    outage_s=15.0,
    reason="A volume that is only busy must not be given up: its host waits for five seconds before it ends a "
    "PostgreSQL whose volume stands still, and only then does the failover begin.",
)
SWITCHOVER = Promise(
    text="0 failed requests, no write waits over 3 s",
    guide="< 5 min, by hand",
    guide_s=300.0,
    failed=0,
    max_latency_s=3.0,
    reason="Of the two seconds and more, one is a pause of the keeper's in each promotion. What waited is then "
    "answered in turn, which on the lab's processors takes up to a second more in some runs.",
)
CACHE = Promise(text="sessions back within 5 s", guide="not covered", outage_s=5.0, signed_out=0)
ZONE = Promise(text="back within 10 s", guide="not covered", outage_s=10.0, signed_out=0)
UNNOTICED = Promise(text="no failed request", guide="not covered", failed=0)
MONITOR = Promise(
    text="no failed request, somebody is told within 2 min",
    guide="not covered",
    failed=0,
    paged_s=120.0,
    alert="MonitorSilent",
)
SOAK = Promise(text="no failover in 30 minutes", guide="not covered", failovers=0)
SAFE = Promise(
    text="no acknowledged write lost, never two writable primaries",
    guide="not covered",
    reason="Availability is not promised: without the failover monitor nobody may let a primary go on alone, so writes "
    "wait until the monitor or the standby is back.",
)

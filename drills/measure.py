"""Figures from what a drill recorded. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations

from drills.samples import Kind, Sample, WriteAttempt

HUNG_S = 1.0
"""A commit that took longer had to wait: it does not say when its row was committed."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What visitors saw. Times in seconds."""

    outage_s: float
    """The longest time without an acknowledged write."""
    read_outage_s: float
    """The longest time without a successful read."""
    requests: int
    failed: int
    failed_reads: int
    """Those of the failed requests that only read."""
    failed_idempotent: int
    """Failed reads, and failed writes with an idempotency key: those that are safe to send again."""
    max_latency_s: float
    """Of all requests, failed ones included."""
    last_failed_s: float | None
    """How long after `begin` the last failed request began; None when none failed."""
    signed_out: int
    """Failed requests whose session was not found (401)."""
    failures: Mapping[str, int]
    """How many requests failed in which way: `write 503`, or `write 0: timeout` where no whole answer came."""


def longest_gap_s(moments: Iterable[float], begin: float, end: float) -> float:
    """The longest part of [begin, end] without any of `moments`."""
    inside = sorted(one for one in moments if begin <= one <= end)
    return max(later - earlier for earlier, later in pairwise([begin, *inside, end]))


def figures(samples: Sequence[Sample], begin: float, end: float) -> Figures:
    """What visitors saw from `begin` to `end`; the load must have run at both moments."""
    failed = [one for one in samples if not one.ok]
    return Figures(
        outage_s=longest_gap_s((s.end for s in samples if s.ok and s.kind is Kind.WRITE), begin, end),
        read_outage_s=longest_gap_s((s.end for s in samples if s.ok and s.kind is Kind.READ), begin, end),
        requests=len(samples),
        failed=len(failed),
        failed_reads=sum(one.kind is Kind.READ for one in failed),
        failed_idempotent=sum(one.idempotent for one in failed),
        max_latency_s=max((one.latency_s for one in samples), default=0.0),
        last_failed_s=max((one.start - begin for one in failed), default=None),
        signed_out=sum(one.session_gone for one in failed),
        failures=dict(Counter(f"{one.kind} {one.status}" + (f": {one.error}" if one.error else "") for one in failed)),
    )


@dataclass(frozen=True)
class Span:
    """A time in which a node accepted every write that was attempted."""

    begin: float
    end: float

    def overlap_s(self, other: Span) -> float:
        return max(0.0, min(self.end, other.end) - max(self.begin, other.begin))

    def covers(self, one: WriteAttempt) -> bool:
        return self.begin <= one.start and one.end <= self.end


def _answered_in_time(one: WriteAttempt) -> bool:
    """Whether it was acknowledged so soon that the node certainly accepted writes at that time."""
    return one.accepted and one.end - one.start <= HUNG_S


def accepting(attempts: Sequence[WriteAttempt]) -> list[Span]:
    """The spans in which a node certainly accepted writes: from the first acknowledgement of an unbroken series to the
    start of its last attempt. A refused attempt ends a span. So does one that hung, acknowledged or not: it does not
    say when its row was committed.
    """
    spans: list[Span] = []
    first: WriteAttempt | None = None
    last: WriteAttempt | None = None
    for one in [*sorted(attempts, key=lambda a: a.start), None]:
        if one is not None and _answered_in_time(one):
            first, last = first or one, one
            continue
        if first is not None and last is not None and last.start > first.end:
            spans.append(Span(first.end, last.start))
        first = last = one if one is not None and one.accepted else None
    return spans


def two_primaries(attempts: Mapping[str, Sequence[WriteAttempt]]) -> bool:
    """Whether two nodes acknowledged writes at the same time. A node that is out of recovery but commits nothing does
    not count. A single commit counts when it lies wholly within a span of the other node.
    """
    spans = {node: accepting(seen) for node, seen in attempts.items()}
    overlap = any(a.overlap_s(b) > 0 for one, other in combinations(spans.values(), 2) for a in one for b in other)
    return overlap or any(
        span.covers(attempt)
        for one, other in permutations(attempts, 2)
        for span in spans[one]
        for attempt in attempts[other]
        if _answered_in_time(attempt)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile by nearest rank. :raises ValueError: without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


@dataclass(frozen=True)
class Bin:
    """The requests that ended in one slice of time."""

    good: int
    failed: int
    max_latency_s: float


def timeline(samples: Sequence[Sample], begin: float, end: float, width_s: float) -> list[Bin]:
    """The load in slices of `width_s`, by the time at which requests ended."""
    count = max(1, math.ceil((end - begin) / width_s))
    bins: list[list[Sample]] = [[] for _ in range(count)]
    for one in samples:
        if begin <= one.end < begin + count * width_s:
            bins[min(count - 1, int((one.end - begin) / width_s))].append(one)
    return [
        Bin(sum(s.ok for s in b), sum(not s.ok for s in b), max((s.latency_s for s in b), default=0.0)) for b in bins
    ]

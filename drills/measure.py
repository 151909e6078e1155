"""From what was recorded to figures. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations

from drills.samples import Kind, Sample, WriteTry

HUNG_S = 1.0
"""A commit that takes longer was waiting for something."""


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
    """Of the failed ones those that only read."""
    failed_idempotent: int
    """Those that only read, and writes under a key by which they are stored once: they could have been asked again."""
    max_latency_s: float
    """Of all requests, also of those that failed."""
    last_failed_s: float | None
    """How long after `begin` the last request began that failed; None when none did."""
    signed_out: int
    """Requests whose session was gone (401)."""
    failures: Mapping[str, int]
    """How many failed in which way, such as `write 503`; `write 0: ...` has no whole answer, and why."""


def longest_gap_s(moments: Iterable[float], begin: float, end: float) -> float:
    """The longest part of [begin, end] in which none of `moments` lies."""
    inside = sorted(one for one in moments if begin <= one <= end)
    return max(later - earlier for earlier, later in pairwise([begin, *inside, end]))


def figures(samples: Sequence[Sample], begin: float, end: float) -> Figures:
    """What the load from `begin` to `end` saw; both are moments at which it ran."""
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
        signed_out=sum(one.status == 401 for one in failed),
        failures=Counter(f"{one.kind} {one.status}" + (f": {one.error}" if one.error else "") for one in failed),
    )


@dataclass(frozen=True)
class Span:
    """A time in which a node accepted every write that was tried."""

    begin: float
    end: float

    def overlap_s(self, other: Span) -> float:
        return max(0.0, min(self.end, other.end) - max(self.begin, other.begin))

    def covers(self, one: WriteTry) -> bool:
        return self.begin <= one.start and one.end <= self.end


def _prompt(one: WriteTry) -> bool:
    """Whether it was acknowledged so soon that the node surely accepted writes then."""
    return one.accepted and one.end - one.start <= HUNG_S


def accepting(tries: Sequence[WriteTry]) -> list[Span]:
    """The spans in which a node surely accepted writes: from the first acknowledgement of an unbroken row to the
    beginning of its last try. A try that is refused ends a span; so does one that hung, acknowledged or not, since
    it does not say when its row was committed.
    """
    spans: list[Span] = []
    first: WriteTry | None = None
    last: WriteTry | None = None
    for one in [*sorted(tries, key=lambda t: t.start), None]:
        if one is not None and _prompt(one):
            first, last = first or one, one
            continue
        if first is not None and last is not None and last.start > first.end:
            spans.append(Span(first.end, last.start))
        first = last = one if one is not None and one.accepted else None
    return spans


def two_primaries(tries: Mapping[str, Sequence[WriteTry]]) -> bool:
    """Whether at any moment two nodes acknowledged writes. Being out of recovery is not enough: one must commit. A
    single commit counts when it lies wholly in a time in which the other node accepted all.
    """
    spans = {node: accepting(seen) for node, seen in tries.items()}
    overlap = any(a.overlap_s(b) > 0 for one, other in combinations(spans.values(), 2) for a in one for b in other)
    return overlap or any(
        span.covers(try_)
        for one, other in permutations(tries, 2)
        for span in spans[one]
        for try_ in tries[other]
        if _prompt(try_)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile. :raises ValueError: without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


@dataclass(frozen=True)
class Bin:
    """Requests that ended in one slice of time."""

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

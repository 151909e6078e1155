"""The figures, on made-up records: what the longest gap is, and when two nodes accept writes at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.measure import HUNG_S, Span, accepting, figures, longest_gap_s, percentile, timeline, two_primaries
from drills.samples import Kind, Sample, WriteAttempt

moments = st.lists(st.floats(0, 100), max_size=40)


def ticks(begin: float, end: float, accepted: bool = True) -> list[WriteAttempt]:
    """An attempt every 0.2 s."""
    return [WriteAttempt(begin + n * 0.2, begin + n * 0.2 + 0.01, accepted) for n in range(round((end - begin) / 0.2))]


def sample(kind: Kind, end: float, status: int = 200, latency: float = 0.01) -> Sample:
    return Sample(kind, end - latency, end, status)


@given(moments)
def test_no_gap_is_longer_than_the_longest(found: list[float]) -> None:
    longest = longest_gap_s(found, 0, 100)
    edges = [0.0, *sorted(found), 100.0]
    assert all(b - a <= longest for a, b in pairwise(edges))
    assert any(b - a == longest for a, b in pairwise(edges))


@given(moments, st.floats(0, 100))
def test_one_more_answer_never_makes_the_outage_longer(found: list[float], more: float) -> None:
    assert longest_gap_s([*found, more], 0, 100) <= longest_gap_s(found, 0, 100)


@pytest.mark.parametrize(("moments_", "gap"), [([], 10.0), ([4.0], 6.0), ([9.0], 9.0), ([-1.0, 11.0], 10.0)])
def test_silence_before_the_first_and_after_the_last_answer_counts(moments_: list[float], gap: float) -> None:
    assert longest_gap_s(moments_, 0, 10) == gap


def test_failed_writes_do_not_end_an_outage_and_reads_are_counted_apart() -> None:
    seen = [sample(Kind.WRITE, t / 2) for t in range(3)] + [sample(Kind.WRITE, t / 2, 503) for t in range(3, 15)]
    seen += [sample(Kind.WRITE, 8.0, 201), sample(Kind.WRITE, 10.0, 201)]
    seen += [sample(Kind.READ, t / 2) for t in range(21)] + [sample(Kind.READ, 6.0, 0, latency=2.5)]
    found = figures(seen, 0, 10)
    assert (found.outage_s, found.read_outage_s) == (7.0, 0.5)
    assert (found.requests, found.failed, found.failed_reads, found.max_latency_s) == (len(seen), 13, 1, 2.5)


def test_the_last_failure_is_that_of_the_request_that_began_last() -> None:
    seen = [sample(Kind.READ, 1.0), sample(Kind.READ, 6.0, 0, latency=5.0), sample(Kind.WRITE, 4.0, 401, latency=0.0)]
    found = figures(seen, 0.5, 8)
    assert (found.last_failed_s, found.signed_out) == (3.5, 1)
    assert figures(seen[:1], 0.5, 8).last_failed_s is None


def test_a_log_in_is_no_idempotent_request() -> None:
    seen = [sample(kind, 1.0, 503) for kind in (Kind.READ, Kind.WRITE, Kind.WRITE, Kind.LOGIN)]
    found = figures(seen, 0, 2)
    assert (found.failed, found.failed_reads, found.failed_idempotent) == (4, 1, 3)
    assert found.failures == {"read 503": 1, "write 503": 2, "login 503": 1}


def test_a_failover_with_a_pause_is_not_two_primaries() -> None:
    attempts = {"db1": [*ticks(0, 5), *ticks(5, 20, False)], "db2": [*ticks(0, 9, False), *ticks(9, 20)]}
    assert not two_primaries(attempts)


def test_two_nodes_that_acknowledge_at_once_are_seen() -> None:
    assert two_primaries({"db1": [*ticks(0, 10), *ticks(10, 20, False)], "db2": [*ticks(0, 9, False), *ticks(9, 20)]})


def test_a_single_commit_while_the_other_node_accepts_all_is_seen() -> None:
    db1 = [*ticks(0, 5), *ticks(5, 12, False), WriteAttempt(12.05, 12.1, True), *ticks(12.2, 20, False)]
    assert two_primaries({"db1": db1, "db2": [*ticks(0, 9, False), *ticks(9, 20)]})
    hung = [WriteAttempt(10.0, 10.5 + HUNG_S, True)]
    assert not two_primaries({"db1": [*ticks(0, 5), *hung], "db2": [*ticks(0, 9, False), *ticks(9, 20)]})


def test_an_isolated_primary_whose_commits_hang_accepts_nothing() -> None:
    hanging = [WriteAttempt(5 + n * 2, 7 + n * 2, False) for n in range(6)]
    assert not two_primaries({"db1": [*ticks(0, 5), *hanging], "db2": [*ticks(0, 9, False), *ticks(9, 20)]})


def test_a_commit_that_hung_over_a_failover_does_not_join_what_was_before_and_after() -> None:
    # Primary, out, primary again after the other one was: two hand-overs, no overlap.
    hung = WriteAttempt(5.0, 15.0 + HUNG_S, True)
    db1 = [*ticks(0, 5), hung, *ticks(17, 20)]
    assert not two_primaries({"db1": db1, "db2": [*ticks(0, 6, False), *ticks(6, 14), *ticks(14, 20, False)]})


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_spans_hold_only_accepted_attempts(answers: list[bool]) -> None:
    attempts = [WriteAttempt(n * 0.2, n * 0.2 + 0.01, ok) for n, ok in enumerate(answers)]
    for span in accepting(attempts):
        assert all(one.accepted for one in attempts if span.begin <= one.start <= span.end)


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 10), st.floats(0, 10))
def test_overlap_is_the_same_from_both_sides(a: float, b: float, c: float, d: float) -> None:
    one, other = Span(min(a, b), max(a, b)), Span(min(c, d), max(c, d))
    assert one.overlap_s(other) == other.overlap_s(one) <= min(one.end - one.begin, other.end - other.begin)


@given(st.lists(st.floats(0, 1000), min_size=1))
def test_a_percentile_is_one_of_the_values(values: list[float]) -> None:
    assert percentile(values, 95) in values
    assert percentile(values, 100) == max(values)


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from([200, 503])), max_size=60))
def test_a_timeline_holds_each_request_once(answers: list[tuple[float, int]]) -> None:
    seen = [sample(Kind.READ, end, status) for end, status in answers]
    bins = timeline(seen, 0, 20.25, 0.25)
    assert sum(b.good for b in bins) == sum(s.ok for s in seen)
    assert sum(b.failed for b in bins) == sum(not s.ok for s in seen)

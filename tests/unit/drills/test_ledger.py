"""The ledger finds what is lost, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drills.ledger import compare
from drills.samples import Kind, Sample

titles = st.text("abc", min_size=1, max_size=3)


def write(key: str, status: int = 201) -> Sample:
    return Sample(Kind.WRITE, 0, 1, status, key=key)


def test_an_acknowledged_write_that_is_not_there_is_lost() -> None:
    verdict = compare([write("a"), write("b"), write("c", 503)], ["a"])
    assert (verdict.acknowledged, verdict.lost, verdict.doubled, verdict.unanswered) == (2, ("b",), (), 0)


def test_a_write_without_an_answer_may_be_there_and_none_may_be_there_twice() -> None:
    verdict = compare([write("a"), write("b", 0)], ["a", "a", "b"])
    assert (verdict.lost, verdict.doubled, verdict.unanswered) == ((), ("a",), 1)


def test_reads_and_logins_are_no_writes() -> None:
    assert compare([Sample(Kind.READ, 0, 1, 200), Sample(Kind.LOGIN, 0, 1, 200)], []).acknowledged == 0


@given(st.sets(titles), st.sets(titles), st.sets(titles))
def test_lost_is_exactly_what_was_acknowledged_and_is_missing(
    acknowledged: set[str], refused: set[str], stored: set[str]
) -> None:
    samples = [write(t) for t in acknowledged] + [write(t, 503) for t in refused]
    verdict = compare(samples, stored)
    assert set(verdict.lost) == acknowledged - stored
    assert verdict.unanswered == len(stored - acknowledged)

"""The ledger finds what is lost, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drills.ledger import compare, compare_at
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


def test_what_was_deleted_on_purpose_is_neither_lost_nor_unanswered() -> None:
    gone, kept, new = write("gone"), write("kept"), Sample(Kind.WRITE, 5, 6, 201, key="new")
    verdict = compare([gone, kept, new], ["kept"], since=4)
    assert (verdict.acknowledged, verdict.lost, verdict.unanswered) == (1, ("new",), 0)


def at(key: str, start: float, end: float, status: int = 201) -> Sample:
    return Sample(Kind.WRITE, start, end, status, key=key)


def test_a_restore_has_what_was_acknowledged_before_its_target_and_nothing_that_was_sent_after() -> None:
    writes = [at("a", 1, 2), at("b", 3, 4), at("across", 9, 11), at("refused", 5, 6, 503), at("c", 12, 13)]
    exact = compare_at(writes, ["a", "b"], 10)
    assert (exact.acknowledged_before, exact.missing, exact.sent_after, exact.after_and_there) == (2, (), 1, ())
    assert exact.rpo_s == 0
    # One that was under way at the target may be there, and so may one without an acknowledgement.
    assert compare_at(writes, ["a", "b", "across", "refused"], 10) == exact


def test_what_a_restore_lacks_is_missing_and_its_rpo_is_the_time_since_the_newest_that_is_there() -> None:
    writes = [at("a", 1, 2), at("b", 3, 4), at("c", 5, 6)]
    found = compare_at(writes, ["a"], 10)
    assert (found.missing, found.rpo_s) == (("b", "c"), 8)
    # A gap in the middle is a loss too, however new the newest one is.
    assert (compare_at(writes, ["a", "c"], 10).missing, compare_at(writes, ["a", "c"], 10).rpo_s) == (("b",), 4)
    assert compare_at(writes, [], 10).rpo_s == 8


def test_what_was_sent_after_the_target_must_not_be_there_answered_or_not() -> None:
    writes = [at("a", 1, 2), at("b", 12, 13), at("c", 12, 13, 503)]
    assert compare_at(writes, ["a", "b", "c"], 10).after_and_there == ("b", "c")


def test_without_a_write_before_the_target_nothing_is_missing() -> None:
    found = compare_at([at("a", 12, 13), Sample(Kind.READ, 1, 2, 200)], [], 10)
    assert (found.acknowledged_before, found.missing, found.rpo_s) == (0, (), 0)


@given(st.sets(titles), st.sets(titles), st.sets(titles))
def test_lost_is_exactly_what_was_acknowledged_and_is_missing(
    acknowledged: set[str], refused: set[str], stored: set[str]
) -> None:
    samples = [write(t) for t in acknowledged] + [write(t, 503) for t in refused]
    verdict = compare(samples, stored)
    assert set(verdict.lost) == acknowledged - stored
    assert verdict.unanswered == len(stored - acknowledged)

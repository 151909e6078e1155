"""What of the archive can be replayed, and what is missing in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ops.wal import Archive, Hole, Run
from tests.unit.repository import NOON, SEGMENT, at, run, wal


def archive(*runs: dict[str, object]) -> Archive:
    return Archive.of([Run.model_validate(one) for one in runs], SEGMENT)


def spans(found: Archive) -> list[tuple[str, str]]:
    return [(one.first, one.last) for one in found.stretches]


def test_an_empty_archive_has_nothing_and_lacks_nothing() -> None:
    assert archive().newest is None
    assert archive().holes(wal(1)) == []
    assert archive().stretch(wal(1), wal(1)) is None


def test_a_missing_segment_is_a_hole_between_its_neighbours() -> None:
    found = archive(run(1, 8, at(1)), run(10, 40, at(2)))
    assert found.holes(wal(2)) == [Hole(after=wal(8), before=wal(10), segments=1)]
    assert found.holes(wal(9)) == [Hole(after=wal(8), before=wal(10), segments=1)]
    assert found.holes(wal(10)) == []


def test_a_promotion_in_order_leaves_no_hole() -> None:
    begins_in_the_next = archive(run(1, 9, at(1)), run(10, 20, at(2), timeline=2))
    begins_in_the_same = archive(run(1, 8, at(1)), run(9, 20, at(2), timeline=2))
    for found in (begins_in_the_next, begins_in_the_same):
        assert found.holes(wal(1)) == []
        assert spans(found) == [(wal(1), wal(20, 2))]
        assert found.newest is not None
        assert found.newest.archived.timestamp() == at(2)


def test_what_a_lost_primary_had_not_archived_is_a_hole() -> None:
    found = archive(run(1, 8, at(1)), run(12, 20, at(2), timeline=2))
    assert found.holes(wal(1)) == [Hole(after=wal(8), before=wal(12, 2), segments=3)]


def test_what_a_lost_primary_archived_after_the_promotion_is_of_no_use() -> None:
    found = archive(run(1, 15, at(1)), run(10, 20, at(2), timeline=2))
    assert spans(found) == [(wal(1), wal(20, 2))]
    assert found.holes(wal(1)) == []


def test_two_promotions_in_one_segment() -> None:
    found = archive(run(1, 8, at(1)), run(9, 9, at(2), timeline=2), run(9, 20, at(3), timeline=3))
    assert spans(found) == [(wal(1), wal(20, 3))]


def test_a_timeline_that_was_left_by_a_restore_is_a_way_of_its_own() -> None:
    found = archive(run(1, 30, at(1)), run(31, 50, at(2), timeline=2), run(20, 60, at(3), timeline=3))
    assert list(found.line) == [1, 3]
    assert spans(found) == [(wal(1), wal(60, 3))]
    left = found.stretch(wal(40, 2), wal(40, 2))
    assert left is not None
    assert left.last == wal(50, 2)


def test_a_backup_needs_all_of_its_own_wal() -> None:
    found = archive(run(1, 8, at(1)), run(10, 40, at(2)))
    assert found.stretch(wal(7), wal(8)) == found.stretches[0]
    assert found.stretch(wal(10), wal(11)) == found.stretches[1]
    assert found.stretch(wal(8), wal(10)) is None
    assert found.stretch(wal(9), wal(9)) is None
    assert found.stretch(wal(40), wal(41)) is None


def test_a_backup_that_ended_on_the_old_timeline_after_the_promotion_is_on_no_way() -> None:
    found = archive(run(1, 9, at(1)), run(10, 20, at(2), timeline=2))
    assert found.stretch(wal(10), wal(11)) is None
    assert found.stretch(wal(9), wal(9)) is not None


def test_segments_are_counted_over_the_end_of_a_log() -> None:
    found = archive(run(4090, 4095, at(1)), run(4096, 5000, at(2)))
    assert wal(4095) == "000000010000000000000FFF"
    assert wal(4096) == "000000010000000100000000"
    assert spans(found) == [(wal(4090), wal(5000))]


@given(st.sets(st.integers(1, 60), min_size=1))
def test_stretches_and_holes_together_are_everything(there: set[int]) -> None:
    found = archive(*(run(p, p, at(0)) for p in there))
    missing = set(range(min(there), max(there) + 1)) - there
    holes = found.holes(wal(0))
    assert sum(one.segments for one in holes) == len(missing)
    assert {p for one in found.stretches for p in range(one.begin, one.end + 1)} == there
    assert len(holes) == len(found.stretches) - 1
    assert all(one.archived == NOON for one in found.stretches)

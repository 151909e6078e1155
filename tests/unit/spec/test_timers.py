"""The safety inequality: whatever set is accepted, an old primary is closed before another node may write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spec.timers import FENCE_LOOKS_MS, FENCE_SLACK_MS, KEEPER_LOOP_MS, PROMOTION_PAUSE_MS, Timers

milliseconds = st.integers(1, 5_000)


@given(lease=milliseconds, demote=milliseconds, unhealthy=milliseconds)
def test_an_accepted_set_fences_before_it_promotes(lease: int, demote: int, unhealthy: int) -> None:
    fenced_by = lease + FENCE_SLACK_MS
    promoted_from = min(demote, PROMOTION_PAUSE_MS)
    accepted = fenced_by < promoted_from and lease >= FENCE_LOOKS_MS and unhealthy > KEEPER_LOOP_MS
    try:
        timers = Timers(fence_lease_ms=lease, primary_demote_ms=demote, node_considered_unhealthy_ms=unhealthy)
    except ValidationError:
        assert not accepted
    else:
        assert accepted
        assert timers.fenced_by_ms == fenced_by < promoted_from == timers.promoted_from_ms


def test_the_defaults_are_safe() -> None:
    timers = Timers()
    assert (timers.fenced_by_ms, timers.promoted_from_ms) == (950, 1000)


def test_a_longer_demote_timeout_does_not_allow_a_longer_lease() -> None:
    with pytest.raises(ValidationError, match=r"may accept applications for 3150 ms.*may write after 1000 ms"):
        Timers(fence_lease_ms=3000, primary_demote_ms=30_000)


def test_a_refusal_names_the_numbers() -> None:
    with pytest.raises(
        ValidationError, match=r"for 950 ms \(fence_lease_ms 800 .* after 700 ms .*primary_demote_ms 700"
    ):
        Timers(primary_demote_ms=700)


def test_a_lease_that_one_late_answer_ends_is_refused() -> None:
    with pytest.raises(ValidationError, match="fence_lease_ms 400 must be 500 or more"):
        Timers(fence_lease_ms=400)


@pytest.mark.parametrize("timeout_s", [0.7, 0, 1.5])
def test_a_health_check_waits_for_whole_seconds(timeout_s: float) -> None:
    with pytest.raises(ValidationError, match="health_check_timeout_s"):
        Timers.model_validate({"health_check_timeout_s": timeout_s})


def test_a_verdict_before_a_healthy_node_reports_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be more than that, or healthy nodes fail over"):
        Timers(node_considered_unhealthy_ms=1000)

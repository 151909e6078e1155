"""Budgets follow the timers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from components.failover import budgets, silent_detection_ms
from components.timers import Timers


def test_the_default_budgets() -> None:
    found = {one.fault: one.total_ms for one in budgets(Timers()) if not one.unbounded}
    assert (found["db-power-loss"], found["db-stop"], found["db-switchover"]) == (12_500, 11_750, 2550)


@given(st.integers(7000, 60_000), st.integers(100, 5000))
def test_longer_timers_never_make_a_budget_shorter(demote_ms: int, timeout_ms: int) -> None:
    timers = Timers(primary_demote_ms=demote_ms, health_check_timeout_ms=timeout_ms)
    longer = Timers(primary_demote_ms=demote_ms + 1, health_check_timeout_ms=timeout_ms + 1)
    assert all(one.total_ms <= other.total_ms for one, other in zip(budgets(timers), budgets(longer), strict=True))


def test_a_failover_waits_at_least_until_the_old_primary_is_fenced() -> None:
    timers = Timers()
    for one in budgets(timers):
        if one.fencing_ms:
            assert one.detection_ms + one.fencing_ms >= timers.promoted_from_ms > timers.fenced_by_ms
    assert silent_detection_ms(timers) == 3750

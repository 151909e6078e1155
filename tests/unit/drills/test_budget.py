"""Budgets follow the timers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drills.budget import budgets, fencing_ms, no_answer_detection_ms, refused_detection_ms
from drills.catalogue import CATALOGUE
from spec.timers import Timers


def test_the_default_budgets() -> None:
    found = {one.fault: one.total_ms for one in budgets(Timers()) if not one.unbounded}
    assert (found["db-power-loss"], found["db-stop"], found["db-switchover"]) == (5103, 4833, 2783)


@given(st.integers(951, 60_000), st.integers(1, 10))
def test_longer_timers_never_make_a_budget_shorter(demote_ms: int, timeout_s: int) -> None:
    timers = Timers(primary_demote_ms=demote_ms, health_check_timeout_s=timeout_s)
    longer = Timers(primary_demote_ms=demote_ms + 1, health_check_timeout_s=timeout_s + 1)
    assert all(one.total_ms <= other.total_ms for one, other in zip(budgets(timers), budgets(longer), strict=True))


def test_a_failover_waits_at_least_until_the_old_primary_is_fenced() -> None:
    timers = Timers()
    for one in budgets(timers):
        if one.fencing_ms:
            assert one.fencing_ms >= timers.promoted_from_ms > timers.fenced_by_ms


def test_a_report_that_is_not_old_when_the_checks_have_failed_costs_another_report() -> None:
    # Two checks of a second, 10 ms after each, begun 500 ms after the loss at the latest.
    assert no_answer_detection_ms(Timers(node_considered_unhealthy_ms=2020)) == 2520
    assert no_answer_detection_ms(Timers(node_considered_unhealthy_ms=2021)) == 2520 + 1000
    assert no_answer_detection_ms(Timers(node_considered_unhealthy_ms=3000)) == 3000 + 1000
    assert refused_detection_ms(Timers(node_considered_unhealthy_ms=1250)) == 1250 + 1000


def test_a_demote_timeout_beyond_the_pause_costs_another_report() -> None:
    assert fencing_ms(Timers(primary_demote_ms=1000)) == 1000
    assert fencing_ms(Timers(primary_demote_ms=1001)) == 2001


def test_every_database_fault_has_a_budget() -> None:
    """But two: a lost standby is the failover monitor's business, and memory pressure need not end in a failover."""
    faults = {name for name, drill in CATALOGUE.items() if name.startswith("db-") and not drill.self_test}
    assert faults - {one.fault for one in budgets(Timers())} == {"db-standby-power-loss", "db-memory-pressure"}

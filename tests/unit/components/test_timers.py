"""The safety inequality: whatever set is accepted, a cut-off primary is fenced before the standby may write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.timers import ISOLATED_LOOP_MS, KEEPER_LOOP_MS, STOP_POSTGRES_MS, Timers

milliseconds = st.integers(1, 60_000)


@given(
    partition_s=st.integers(1, 60),
    sender=milliseconds,
    unhealthy=milliseconds,
    demote=milliseconds,
    period=milliseconds,
)
def test_an_accepted_set_fences_before_it_promotes(
    partition_s: int, sender: int, unhealthy: int, demote: int, period: int
) -> None:
    fenced_by = sender + (partition_s + 1) * 1000 + ISOLATED_LOOP_MS + STOP_POSTGRES_MS
    promoted_from = unhealthy + demote
    safe = fenced_by < promoted_from and unhealthy > KEEPER_LOOP_MS + period
    try:
        timers = Timers(
            network_partition_s=partition_s,
            wal_sender_timeout_ms=sender,
            node_considered_unhealthy_ms=unhealthy,
            primary_demote_ms=demote,
            health_check_period_ms=period,
        )
    except ValidationError:
        assert not safe
    else:
        assert safe
        assert timers.fenced_by_ms == fenced_by < promoted_from == timers.promoted_from_ms


def test_the_defaults_are_safe() -> None:
    timers = Timers()
    assert (timers.fenced_by_ms, timers.promoted_from_ms) == (8500, 9000)


def test_a_refusal_names_the_numbers() -> None:
    with pytest.raises(ValidationError, match=r"may accept writes for 9500 ms.*but the standby may from 3000 ms"):
        Timers(network_partition_s=3, node_considered_unhealthy_ms=2000, primary_demote_ms=1000)


def test_health_checks_too_slow_for_the_verdict_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be more than 3000 or healthy nodes fail over"):
        Timers(health_check_period_ms=2000, node_considered_unhealthy_ms=2500)

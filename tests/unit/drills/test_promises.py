"""What keeps a promise and what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drills.promises import APPLICATION, CACHE, DATABASE, SWITCHOVER, Measured, Promise, broken_by, p95_broken


def measured(**changes: Any) -> Measured:
    """A drill without an incident, but for `changes`."""
    quiet = Measured(
        outage_s=0.5,
        read_outage_s=0.5,
        requests=100,
        failed=0,
        failed_reads=0,
        failed_idempotent=0,
        max_latency_s=0.5,
        last_failed_s=None,
        signed_out=0,
        failures={},
        lost=0,
        doubled=0,
        two_primaries=False,
        paged_s=None,
        failovers=0,
    )
    return replace(quiet, **changes)


@pytest.mark.parametrize("promise", [APPLICATION, SWITCHOVER])
def test_a_drill_without_an_incident_keeps_its_promise(promise: Promise) -> None:
    assert broken_by(promise, measured()) == []


def test_an_application_host_may_cost_a_log_in_and_nothing_else() -> None:
    assert broken_by(APPLICATION, measured(failed=1)) == []
    assert broken_by(APPLICATION, measured(failed=1, failed_idempotent=1)) == [
        "1 idempotent requests failed, promised 0 at most"
    ]
    assert broken_by(APPLICATION, measured(max_latency_s=2.04)) == ["a request took 2.0 s, promised 2 s at most"]


def test_a_switchover_fails_no_request_and_lets_none_wait_for_longer_than_three_seconds() -> None:
    assert broken_by(SWITCHOVER, measured(max_latency_s=2.99)) == []
    assert broken_by(SWITCHOVER, measured(max_latency_s=3.01)) == ["a request took 3.0 s, promised 3 s at most"]
    assert broken_by(SWITCHOVER, measured(failed=1)) == ["1 requests failed, promised 0 at most"]


def test_an_outage_of_reads_breaks_the_promise_too() -> None:
    assert broken_by(CACHE, measured(read_outage_s=5.2)) == ["no read was answered for 5.2 s, promised 5 s at most"]


def test_a_request_that_begins_after_the_limit_and_fails_breaks_it_however_many_others_do_not() -> None:
    assert broken_by(DATABASE, measured(failed=9, last_failed_s=7.9)) == []
    assert broken_by(DATABASE, measured(failed=9, last_failed_s=8.1)) == [
        "a request that began 8.1 s after the fault failed, promised 8 s at most"
    ]


def test_a_session_that_is_gone_breaks_the_promise_of_the_cache() -> None:
    assert broken_by(CACHE, measured(failed=1, signed_out=1)) == [
        "1 requests failed, promised 0 at most",
        "1 requests found their session gone, promised 0 at most",
    ]


def test_the_95th_percentile_is_judged_over_repeats() -> None:
    assert p95_broken(DATABASE, [4.0] * 9 + [5.1]) == "p95 of 10 outages is 5.1 s, promised 5 s at most"
    assert p95_broken(DATABASE, [4.0] * 19 + [5.1]) == ""
    assert p95_broken(DATABASE, [5.1] * 9) == ""
    assert p95_broken(CACHE, [5.1] * 10) == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"lost": 2}, "2 acknowledged writes were lost"),
        ({"doubled": 1}, "1 writes were stored twice"),
        ({"two_primaries": True}, "two nodes accepted writes at the same time"),
    ],
)
def test_what_every_drill_promises(changed: dict[str, Any], why: str) -> None:
    assert why in broken_by(Promise(text="", guide=""), measured(**changed))

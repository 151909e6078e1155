"""What keeps a promise and what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drills.measure import Figures
from drills.promises import APPLICATION, CACHE, DATABASE, SWITCHOVER, Measured, Promise, broken_by, p95_broken


def measured(
    *,
    lost: int = 0,
    doubled: int = 0,
    two_primaries: bool = False,
    paged_s: float | None = None,
    failovers: int | None = 0,
    **seen: Any,
) -> Measured:
    """A quiet drill, but for what is given; `seen` by its visitors."""
    quiet = Figures(
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
    )
    return Measured(
        figures=replace(quiet, **seen),
        lost=lost,
        doubled=doubled,
        two_primaries=two_primaries,
        paged_s=paged_s,
        failovers=failovers,
    )


@pytest.mark.parametrize("promise", [APPLICATION, SWITCHOVER])
def test_a_quiet_drill_keeps_its_promise(promise: Promise) -> None:
    assert broken_by(promise, measured()) == []


def test_an_application_host_may_cost_a_log_in_and_nothing_else() -> None:
    assert broken_by(APPLICATION, measured(failed=1)) == []
    assert broken_by(APPLICATION, measured(failed=1, failed_idempotent=1)) == [
        "1 idempotent requests failed, at most 0"
    ]
    assert broken_by(APPLICATION, measured(max_latency_s=2.04)) == ["a request took 2.0 s, at most 2"]


def test_a_switchover_fails_nothing_and_lets_nobody_wait_for_longer_than_three_seconds() -> None:
    assert broken_by(SWITCHOVER, measured(max_latency_s=2.99)) == []
    assert broken_by(SWITCHOVER, measured(max_latency_s=3.01)) == ["a request took 3.0 s, at most 3"]
    assert broken_by(SWITCHOVER, measured(failed=1)) == ["1 requests failed, at most 0"]


def test_reads_that_are_out_break_what_was_promised_of_an_outage() -> None:
    assert broken_by(CACHE, measured(read_outage_s=5.2)) == ["reads were out for 5.2 s, at most 5"]


def test_a_request_that_begins_after_the_limit_and_fails_breaks_it_however_many_others_do_not() -> None:
    assert broken_by(DATABASE, measured(failed=9, last_failed_s=7.9)) == []
    assert broken_by(DATABASE, measured(failed=9, last_failed_s=8.1)) == [
        "requests failed that began 8.1 s after the fault, at most 8"
    ]


def test_a_session_that_is_gone_did_not_come_back() -> None:
    assert broken_by(CACHE, measured(failed=1, signed_out=1)) == ["1 requests found their session gone, at most 0"]


def test_the_95th_percentile_is_judged_over_repeats() -> None:
    assert p95_broken(DATABASE, [4.0] * 9 + [5.1]) == "p95 of 10 outages is 5.1 s, at most 5"
    assert p95_broken(DATABASE, [4.0] * 19 + [5.1]) == ""
    assert p95_broken(DATABASE, [5.1] * 9) == ""
    assert p95_broken(CACHE, [5.1] * 10) == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"lost": 2}, "2 acknowledged writes are lost"),
        ({"doubled": 1}, "1 writes were stored twice"),
        ({"two_primaries": True}, "two nodes accepted writes at once"),
    ],
)
def test_what_no_drill_may_do(changed: dict[str, Any], why: str) -> None:
    assert why in broken_by(Promise(text="", guide=""), measured(**changed))

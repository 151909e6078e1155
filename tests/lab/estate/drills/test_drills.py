"""One drill of each class, each with its deadline, and one that breaks the promise to show that a drill sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drills.fault_injector import FaultInjector
from drills.run import exclusive_lock
from ops.postgres import ADMIN_DATABASE, psql_argv
from spec.errors import EXIT_PROMISE_BROKEN, EXIT_USAGE
from tests.lab.estate.booted import Booted, Browser
from tests.lab.estate.drills import two_writers
from tests.lab.estate.drills.running import NOISE_S, assert_safe, assert_sessions_held, drill

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

DATABASE_S, CACHE_S = 8.0, 5.0
SOAK_S = 60
"""The full soak takes half an hour. This one shows that it runs, and catches timers that fail at once."""


@pytest.mark.parametrize("name", ["db-power-loss", "db-partition-peer", "db-switchover"])
def test_the_database_is_writable_again_within_what_is_promised(booted: Booted, tmp_path: Path, name: str) -> None:
    found, _ = drill(booted, name, tmp_path)
    assert_safe(found)
    assert found["outage_s"] < DATABASE_S, found
    assert name != "db-switchover" or found["failed"] == 0, found
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_no_idempotent_request_fails_when_an_application_host_loses_its_power(booted: Booted, tmp_path: Path) -> None:
    found, _ = drill(booted, "app-power-loss", tmp_path)
    assert_safe(found)
    assert found["failed_idempotent"] == 0, found
    assert found["outage_s"] < 2 + NOISE_S, found


def test_sessions_are_back_when_redis_is_killed(booted: Booted, browser: Browser, tmp_path: Path) -> None:
    browser.sign_in()
    found, _ = drill(booted, "cache-kill", tmp_path)
    assert_safe(found)
    assert_sessions_held(found, browser)
    assert found["outage_s"] < CACHE_S + NOISE_S, found


def test_a_healthy_pair_under_stress_does_not_fail_over(booted: Booted, tmp_path: Path) -> None:
    found, _ = drill(booted, "soak", tmp_path, "--hold-s", str(SOAK_S))
    assert_safe(found)
    assert found["held_s"] >= SOAK_S
    assert found["failovers"] == 0, found


def test_a_lost_monitor_is_paged_and_no_request_fails(booted: Booted, tmp_path: Path) -> None:
    found, _ = drill(booted, "monitor-power-loss", tmp_path)
    assert_safe(found)
    assert found["failed"] == 0, found
    assert found["paged_s"] is not None, found
    assert found["paged_s"] < 120, found


def test_no_request_fails_when_the_nat_gateway_is_lost(booted: Booted, tmp_path: Path) -> None:
    found, _ = drill(booted, "nat-power-loss", tmp_path)
    assert_safe(found)
    assert found["failed"] == 0, found


@contextmanager
def a_slow_failover_monitor(booted: Booted) -> Iterator[None]:
    """A node is lost only when nothing was heard of it for a minute."""

    def set_to(what: str) -> None:
        statements = (f"alter system {what}", "select pg_reload_conf()")
        booted.on_host("monitor1", *psql_argv(ADMIN_DATABASE, *statements))

    set_to("set pgautofailover.node_considered_unhealthy_timeout = 60000")
    try:
        yield
    finally:
        set_to("reset pgautofailover.node_considered_unhealthy_timeout")


def test_timers_that_are_too_long_break_the_promise(booted: Booted, tmp_path: Path) -> None:
    with a_slow_failover_monitor(booted):
        found, exit_code = drill(booted, "db-power-loss", tmp_path)
    assert_safe(found)
    assert found["kept"] is False
    assert exit_code == EXIT_PROMISE_BROKEN
    assert any("no write was acknowledged" in why for why in found["broken"]), found


def test_the_ledger_finds_a_loss(booted: Booted, tmp_path: Path) -> None:
    found, exit_code = drill(booted, "db-unsafe-power-loss", tmp_path)
    assert found["lost"] > 0, found
    assert found["kept"] is False
    assert exit_code == EXIT_PROMISE_BROKEN
    assert list(tmp_path.rglob("*.json")) == []


def test_two_nodes_that_accept_writes_are_seen(booted: Booted, tmp_path: Path) -> None:
    found, exit_code = drill(booted, two_writers.NAME, tmp_path, program=("-m", two_writers.__name__))
    assert found["two_primaries"] is True, found
    assert found["kept"] is False
    assert "two nodes accepted writes at the same time" in found["broken"], found
    assert exit_code == EXIT_PROMISE_BROKEN
    assert found["redundant_again_s"] is not None, found
    assert list(tmp_path.rglob("*.json")) == []


@contextmanager
def a_drill_that_runs(booted: Booted) -> Iterator[None]:
    with exclusive_lock(FaultInjector.lock_path(booted.lab)):
        yield


def test_a_second_drill_is_refused_while_one_runs(booted: Booted) -> None:
    with a_drill_that_runs(booted):
        done = booted.ha("--lab", "drill", "run", "app-kill")
    assert (done.exit_code, "another drill is running" in done.stderr) == (EXIT_USAGE, True), done.stderr


def test_a_drill_of_what_the_stack_lacks_is_refused(booted: Booted) -> None:
    done = booted.ha("--lab", "drill", "run", "lb-power-loss")
    assert (done.exit_code, "needs two" in done.stderr) == (EXIT_USAGE, True), done.stderr

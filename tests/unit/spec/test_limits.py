"""Numbers that rules between settings rely on are those that hosts' files state, wherever they are typed."""

from __future__ import annotations

import re

from drills import promises
from spec import limits
from spec.project import REPOSITORY
from spec.timers import FENCE_LOOKS_MS, FENCE_SLACK_MS
from tests.unit.cloud_init.rendering import PAIRS, files_of, program

HAPROXY = "/etc/haproxy/haproxy.cfg"


def stated(pattern: str, text: str) -> set[int]:
    """Every number that a file states by this pattern."""
    return {int(found) for found in re.findall(pattern, text, re.MULTILINE)}


def test_the_load_balancer_takes_a_server_out_when_the_settings_count_on_it() -> None:
    text = files_of("lb1", **PAIRS)[HAPROXY]
    assert stated(r"\bfall (\d+)", text) == {limits.CHECKS_TO_FALL}
    assert stated(r"timeout check (\d+)ms", text) == {limits.CHECK_TIMEOUT_MS}


def test_the_routes_of_an_application_host_look_as_the_failover_budget_counts() -> None:
    files = files_of("app1", **PAIRS)
    assert stated(r"\bfall (\d+)", files[HAPROXY]) == {limits.CHECKS_TO_FALL}
    assert stated(r"\bdowninter (\d+)ms", files[HAPROXY]) == {limits.ROUTE_CHECK_MS}
    assert stated(r"timeout check (\d+)ms", files[HAPROXY]) == {limits.ROUTE_CHECK_TIMEOUT_MS}
    assert f"\nserver_login_retry = {limits.POOL_RETRY_MS / 1000:g}\n" in files["/etc/pgbouncer/pgbouncer.ini"]


def test_a_database_host_answers_its_route_before_the_route_gives_up() -> None:
    assert 1000 * program("db/files/usr/local/lib/ha/primary-check").TURN_S < limits.ROUTE_CHECK_TIMEOUT_MS


def test_postgresql_reserves_the_connections_that_the_pools_are_counted_without() -> None:
    text = files_of("db1")["/etc/ha/postgresql.d/10-ha.conf"]
    assert stated(r"^superuser_reserved_connections = (\d+)$", text) == {limits.SUPERUSER_RESERVED_CONNECTIONS}
    assert stated(r"^reserved_connections = (\d+)$", text) == {limits.RESERVED_CONNECTIONS}


def test_the_application_gives_a_statement_as_long_as_its_host_counts_on() -> None:
    source = (REPOSITORY / "app" / "src" / "config.ts").read_text(encoding="utf-8")
    assert stated(r'"DATABASE_QUERY_TIMEOUT_MS", \d+, [\d_]+, (\d+)\)', source) == {limits.STATEMENT_MS}
    assert not any("DATABASE_QUERY_TIMEOUT_MS" in text for text in files_of("app1").values())


def test_requests_wait_for_redis_for_as_long_as_the_drills_promise() -> None:
    assert promises.CACHE.outage_s is not None
    assert 1000 * promises.CACHE.outage_s == limits.REDIS_WAIT_MS


def test_the_fence_is_late_by_less_than_the_slack_that_the_timers_leave() -> None:
    fence = program("db/files/usr/local/lib/ha/fence")
    assert 1000 * fence.LATE_S < FENCE_SLACK_MS
    assert 1000 * 2 * fence.EVERY_S < FENCE_LOOKS_MS

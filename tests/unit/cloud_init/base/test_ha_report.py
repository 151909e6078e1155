"""ha-report, and what the tiers' health modules make of what they hear."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import BASE_LIBRARY, files_of, program

STATS = """# pxname,svname,status
statistics,FRONTEND,OPEN
application,app1,UP
application,app2,UP 1/2
application,BACKEND,UP
database,db1,DOWN
"""


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """ha-report on a host whose files are in a folder."""
    module = program("base/files/usr/local/sbin/ha-report")
    (tmp_path / "host.env").write_text("HA_HOST=lb1\nHA_TIER=lb\n")
    read = module.read

    def elsewhere(path: str, otherwise: str) -> Any:
        return read(str(tmp_path / Path(path).name), otherwise)

    monkeypatch.setattr(module, "read", elsewhere)
    return module


def ready(folder: Path, state: str = "ready") -> None:
    (folder / "setup.json").write_text(json.dumps({"state": state, "step": "", "steps": [], "error": ""}))


def tier_says(monkeypatch: pytest.MonkeyPatch, checks: list[dict[str, Any]]) -> None:
    module = SimpleNamespace(checks=lambda: checks, facts=lambda: {"role": "master"})
    monkeypatch.setitem(sys.modules, "health", module)


def test_a_host_before_its_set_up_is_waiting(report: ModuleType) -> None:
    said = report.report()
    assert (said["host"], said["tier"], said["healthy"]) == ("lb1", "lb", False)
    assert said["setup"]["state"] == "waiting"


@pytest.mark.parametrize(
    ("state", "check", "healthy"),
    [
        ("ready", {"ok": True}, True),
        ("ready", {"ok": False}, False),
        ("ready", {"ok": False, "informational": True}, True),
        ("running", {"ok": True}, False),
        ("failed", {"ok": True}, False),
    ],
)
def test_healthy_is_ready_and_every_check_that_counts(
    report: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    check: dict[str, Any],
    healthy: bool,
) -> None:
    ready(tmp_path, state)
    tier_says(monkeypatch, [{"name": "x", "detail": "", **check}])
    assert report.report()["healthy"] is healthy


def test_a_host_without_the_agent_is_healthy_and_says_so(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(tmp_path)
    tier_says(monkeypatch, [])
    (tmp_path / "ssm-agent").write_text("cannot be downloaded\n")
    said = report.report()
    assert said["healthy"]
    assert said["facts"] == {"role": "master"}
    agent = next(c for c in said["checks"] if c["name"] == "ssm-agent")
    assert (agent["ok"], agent["detail"]) == (False, "cannot be downloaded")


def test_checks_that_break_are_a_failed_check(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(tmp_path)
    monkeypatch.setitem(sys.modules, "health", SimpleNamespace())
    said = report.report()
    assert not said["healthy"]
    assert "AttributeError" in next(c for c in said["checks"] if c["name"] == "health")["detail"]


@pytest.fixture
def statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """haproxy_stats beside a HAProxy that answers once with STATS."""
    module = program("lb/files/usr/local/lib/ha/haproxy_stats.py")
    monkeypatch.setattr(module, "SOCKET", str(tmp_path / "admin.sock"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "admin.sock"))
        server.listen()

        def answer() -> None:
            client, _ = server.accept()
            with client:
                assert client.recv(100) == b"show stat\n"
                client.sendall(STATS.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield module
        thread.join()


def test_states_are_those_of_the_backends_servers(statistics: ModuleType) -> None:
    assert statistics.servers("application") == {"app1": "UP", "app2": "UP 1/2"}


def test_a_haproxy_that_is_away_has_no_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = program("lb/files/usr/local/lib/ha/haproxy_stats.py")
    monkeypatch.setattr(module, "SOCKET", str(tmp_path / "nothing"))
    assert module.servers("application") == {}


def health_of(host: str, monkeypatch: pytest.MonkeyPatch, servers: dict[str, str]) -> ModuleType:
    """A tier's rendered health module, with what HAProxy would say."""
    monkeypatch.syspath_prepend(str(BASE_LIBRARY))
    monkeypatch.setitem(sys.modules, "haproxy_stats", SimpleNamespace(servers=lambda backend: servers))
    monkeypatch.setitem(sys.modules, "maintenance", SimpleNamespace(shown=lambda: None))
    module = ModuleType(f"health_of_{host}")
    exec(files_of(host)["/usr/local/lib/ha/health.py"], module.__dict__)
    return module


def verdicts(module: ModuleType) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in module.checks()}


@pytest.mark.parametrize(
    ("servers", "up"), [({"app1": "UP", "app2": "DOWN"}, True), ({"app1": "DOWN", "app2": "MAINT"}, False), ({}, False)]
)
def test_a_load_balancer_needs_one_server(monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], up: bool) -> None:
    health = health_of("lb1", monkeypatch, servers)
    monkeypatch.setattr(health, "_answers", lambda port: True)
    assert verdicts(health) == {"haproxy": bool(servers), "servers": up, "port 80": True, "port 443": True}


@pytest.mark.parametrize("answers", [True, False])
def test_a_load_balancer_is_active_when_it_answers_visitors(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    health = health_of("lb1", monkeypatch, {"app1": "UP"})
    monkeypatch.setattr(health, "_answers", lambda port: answers and port == 80)
    assert health.facts() == {"active": answers, "servers": {"app1": "UP"}, "maintenance": None}


@pytest.mark.parametrize(
    ("servers", "route"),
    [
        ({"db1": "UP", "db2": "DOWN"}, True),
        ({"db1": "DOWN", "db2": "DOWN"}, False),
        ({"db1": "UP", "db2": "UP"}, False),
    ],
)
def test_an_application_host_needs_exactly_one_writable_node(
    monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], route: bool
) -> None:
    health = health_of("app1", monkeypatch, servers)
    said = {"status": "healthy", "writable": True, "redis": False}
    monkeypatch.setattr(health, "_ask", lambda: (200, said))
    assert verdicts(health) == {"application": True, "database route": route, "writable": True, "redis": False}


def test_another_application_need_not_say_more_than_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    health = health_of("app1", monkeypatch, {"db1": "UP"})
    monkeypatch.setattr(health, "_ask", lambda: (503, {}))
    assert verdicts(health) == {"application": False, "database route": True}


INFO = {
    "loading": "0",
    "redis_version": "8.0.2",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "used_memory_human": "1M",
    "maxmemory_human": "512M",
    "evicted_keys": "0",
    "role": "master",
}


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({}, set()),
        ({"loading": "1"}, {"redis"}),
        ({"aof_last_write_status": "err"}, {"append-only file"}),
        ({"aof_last_bgrewrite_status": "err"}, {"append-only file"}),
        ({"aof_enabled": "0"}, {"append-only file"}),
    ],
)
def test_redis_must_answer_and_reach_its_disk(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], failed: set[str]
) -> None:
    health = health_of("cache1", monkeypatch, {})
    monkeypatch.setattr(health, "_ask", lambda: INFO | change)
    monkeypatch.setattr(health.Path, "is_mount", lambda self: True)
    assert {name for name, ok in verdicts(health).items() if not ok} == failed
    assert health.facts() == {"role": "master"}


def test_a_redis_that_is_away_is_one_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    health = health_of("cache1", monkeypatch, {})

    def refuses() -> dict[str, str]:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(health, "_ask", refuses)
    assert health.checks() == [{"name": "redis", "ok": False, "detail": "refused"}]
    assert health.facts() == {"role": "down"}

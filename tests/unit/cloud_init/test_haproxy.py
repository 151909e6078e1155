"""HAProxy's two configurations: visitors' requests on the load balancer, the database route on application hosts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.running_haproxy import CONFIG, certificate, executable, on_this_machine


def sections(config: str) -> dict[str, list[str]]:
    """The lines of each section of an HAProxy configuration, without comments."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in config.splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        if line[0].isspace():
            found[current].append(line.strip())
        else:
            current = line
            found[current] = []
    return found


def load_balancer(**settings: Any) -> dict[str, list[str]]:
    return sections(files_of("lb1", **settings)[CONFIG])


def servers(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("server ")]


def test_active_active_uses_all_servers_alike() -> None:
    backend = load_balancer()["backend application"]
    assert [s.split()[1] for s in servers(backend)] == ["app1", "app2"]
    assert not any("backup" in line for line in backend)


def test_active_backup_is_the_guides_primary_and_backups() -> None:
    settings = {"load_balancer": {"mode": "active-backup"}, "application": {"count": 3}}
    backend = load_balancer(**settings)["backend application"]
    assert [s.endswith(" backup") for s in servers(backend)] == [False, True, True]
    assert "option allbackups" in backend


def test_health_is_what_the_guide_asks() -> None:
    backend = load_balancer()["backend application"]
    assert any(re.match(r"http-check send meth GET uri /api/health\b", line) for line in backend)
    assert "http-check expect status 200" in backend


def test_only_what_may_run_twice_is_sent_twice() -> None:
    backend = load_balancer()["backend application"]
    assert "acl reads method GET HEAD OPTIONS" in backend
    assert "acl keyed req.hdr(Idempotency-Key) -m found" in backend
    assert "http-request disable-l7-retry unless reads or keyed short" in backend
    assert "http-request set-timeout server 12000ms unless reads or keyed short" in backend
    assert any(line.startswith("retry-on conn-failure empty-response response-timeout") for line in backend)
    assert "option redispatch 1" in backend


def test_a_body_is_there_before_it_is_sent_or_it_could_not_be_sent_again() -> None:
    backend = load_balancer()["backend application"]
    waiting = next(n for n, line in enumerate(backend) if line.startswith("http-request wait-for-body"))
    assert backend[waiting].endswith("if keyed short")
    (bound,) = (
        int(line.split()[-1]) for line in backend if line.startswith("acl short req.hdr_val(Content-Length) le ")
    )
    assert bound <= 16_384 - 1024 - 4096, "HAProxy's buffer holds the head as well"


@pytest.mark.parametrize(
    ("given", "tries"),
    [
        ({}, 8),
        ({"server_timeout_ms": 2000, "write_timeout_ms": 11_000}, 6),
        ({"server_timeout_ms": 20_000}, 4),
    ],
)
def test_tries_go_on_for_as_long_as_a_write_may_take(given: dict[str, int], tries: int) -> None:
    backend = load_balancer(load_balancer=given)["backend application"]
    assert f"retries {tries - 1}" in backend


def test_the_application_gives_a_write_up_before_the_load_balancer_does() -> None:
    env = files_of("app1", load_balancer={"write_timeout_ms": 8000})["/etc/ha/application.env"]
    assert "DATABASE_RETRY_MS=5000" in env.splitlines()
    assert "DATABASE_RETRY_MS=9000" in files_of("app1")["/etc/ha/application.env"].splitlines()
    assert (
        "DATABASE_RETRY_MS=0" in files_of("app1", load_balancer={"write_timeout_ms": 1000})["/etc/ha/application.env"]
    )


@pytest.mark.parametrize(("write_timeout_ms", "wait_ms"), [(12_000, 5000), (7000, 4000), (1000, 0)])
def test_a_request_that_waited_for_redis_has_time_for_a_statement(write_timeout_ms: int, wait_ms: int) -> None:
    env = files_of("app1", load_balancer={"write_timeout_ms": write_timeout_ms})["/etc/ha/application.env"]
    assert f"REDIS_RETRY_MS={wait_ms}" in env.splitlines()


def test_application_hosts_are_verified_by_name() -> None:
    for line in servers(load_balancer()["backend application"]):
        name = line.split()[1]
        assert "verify required" in line
        assert f"verifyhost {name}" in line
        assert f"check-sni {name}" in line


def test_an_application_without_tls_is_spoken_to_plainly() -> None:
    lines = servers(load_balancer(application={"tls": False})["backend application"])
    assert not any("ssl" in line or "verify" in line for line in lines)
    assert "ca-certificate" not in files_of("lb1", application={"tls": False})["/usr/local/lib/ha/steps/40-haproxy"]


def test_timeouts_are_the_settings() -> None:
    given = {"connect_timeout_ms": 111, "server_timeout_ms": 2222, "queue_timeout_ms": 3333, "check_interval_ms": 444}
    backend = load_balancer(load_balancer=given)["backend application"]
    for line in ("timeout connect 111ms", "timeout server 2222ms", "timeout queue 3333ms"):
        assert line in backend
    assert any(" inter 444ms " in line for line in backend)


def test_the_database_check_asks_at_the_port_that_the_fence_closes() -> None:
    lines = sections(files_of("app1")[CONFIG])["listen database"]
    assert "option httpchk OPTIONS /primary" in lines
    assert "http-check expect status 200" in lines
    assert any(line.startswith("default-server check port 8008 ") for line in lines)
    rules = files_of("db1")["/etc/ha/fence.nft"]
    assert re.search(r"tcp dport \{ 5432, 8008 \} .* != @lease reject", rules)
    assert re.search(r"tcp sport \{ 5432, 8008 \} .* != @lease drop", rules)
    assert "http://127.0.0.1:8008/primary" in files_of("db1")["/usr/local/lib/ha/health.py"]


def test_two_writable_nodes_get_no_new_connection() -> None:
    lines = sections(files_of("app1")[CONFIG])["listen database"]
    assert "tcp-request connection reject if { nbsrv(database) gt 1 }" in lines
    assert any("on-marked-down shutdown-sessions" in line for line in lines)


def test_the_database_route_is_on_loopback() -> None:
    config = sections(files_of("app1")[CONFIG])
    binds = [line for body in config.values() for line in body if line.startswith("bind ")]
    assert binds == ["bind 127.0.0.1:5433"]


VARIANTS = [
    ("lb1", {}),
    ("lb1", {"load_balancer": {"mode": "active-backup", "redirect_to_https": True}}),
    ("lb1", {"application": {"tls": False, "metrics_path": None}}),
    ("app1", {}),
]


@pytest.mark.parametrize(("host", "settings"), VARIANTS)
def test_haproxy_accepts_the_configuration(host: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """By whatever HAProxy is here; the hosts' own checks it again before it takes it."""
    config = tmp_path / "haproxy.cfg"
    config.write_text(on_this_machine(files_of(host, **settings)[CONFIG], certificate(tmp_path)))
    done = subprocess.run([executable(), "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr, done.stderr


@pytest.mark.parametrize(("variable", "header"), [("database", "X-Database"), ("redis", "X-Redis")])
def test_a_request_that_waits_is_not_retried_on_another_server(variable: str, header: str) -> None:
    backend = load_balancer()["backend application"]
    assert backend.index(f"http-check set-var(proc.{variable}) res.hdr({header})") > backend.index(
        "http-check expect status 200"
    )
    assert f"acl waits var(proc.{variable}) -m str away" in backend
    assert "http-request set-timeout server 12000ms if waits" in backend


def test_when_no_server_passes_its_checks_one_is_asked_all_the_same() -> None:
    config = load_balancer(load_balancer={"mode": "active-backup"}, application={"count": 3})
    assert "use_backend unchecked if { nbsrv(application) eq 0 }" in config["frontend web"]
    unchecked = config["backend unchecked"]
    assert [line.split()[1] for line in servers(unchecked)] == ["app1", "app2", "app3"]
    assert not any(re.search(r"(?<!-) check |backup|httpchk|http-check", f"{line} ") for line in unchecked)
    assert all("verify required" in line for line in servers(unchecked))
    assert "retry-on conn-failure empty-response response-timeout" in unchecked, "its own 503 is an answer"
    rules = [
        line for line in config["backend application"] if line.startswith(("acl ", "http-request ", "timeout server"))
    ]
    assert set(rules) <= set(unchecked)

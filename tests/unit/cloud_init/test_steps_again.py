"""The set-up on a running host: a second run touches nothing, and a changed file touches the service that reads it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from review.services import services
from tests.unit.cloud_init.rendering import PAIRS, files_of
from tests.unit.cloud_init.sandbox import STEPS
from tests.unit.cloud_init.simulated_host import SimulatedHost

STEPS_OF = {
    "lb": ["05-host", "35-base-services", "40-haproxy", "50-public-address", "60-monitor-watch"],
    "app": ["05-host", "35-base-services", "40-database-route", "50-application"],
    "db": ["35-base-services", "40-postgres", "50-node", "60-database", "70-backups"],
    "cache": ["35-base-services", "38-sentinel", "40-redis", "50-redis-role"],
    "monitor": ["35-base-services", "40-monitor", "50-metrics", "60-sentinel"],
    "restore": ["35-base-services", "40-restored"],
}
CHANGES = [
    ("lb", "/etc/systemd/journald.conf.d/ha.conf", ["restart systemd-journald"]),
    ("lb", "/etc/systemd/timesyncd.conf.d/ha.conf", ["restart systemd-timesyncd"]),
    ("lb", "/etc/default/prometheus-node-exporter", ["restart prometheus-node-exporter"]),
    ("lb", "/etc/haproxy/haproxy.cfg", ["reload haproxy"]),
    ("lb", "/etc/haproxy/tls/site.pem", ["reload haproxy"]),
    ("lb", "/etc/systemd/system/haproxy.service.d/ha.conf", ["restart haproxy"]),
    ("lb", "/etc/keepalived/keepalived.conf", ["reload keepalived"]),
    ("lb", "/etc/systemd/system/keepalived.service.d/ha.conf", ["restart keepalived"]),
    ("lb", "/usr/local/lib/ha/address", ["restart ha-address"]),
    ("lb", "/usr/local/lib/ha/ha_host.py", ["restart ha-address", "restart ha-monitor-watch"]),
    ("app", "/etc/haproxy/haproxy.cfg", ["reload haproxy"]),
    ("app", "/etc/pgbouncer/pgbouncer.ini", ["reload pgbouncer"]),
    ("app", "/etc/ha/application.env", ["restart event-manager"]),
    ("app", "/var/www/event-manager/wanted", ["restart event-manager"]),
    ("app", "/etc/systemd/system/event-manager.service", ["restart event-manager"]),
    (
        "app",
        "/etc/systemd/system/pgbouncer.service.d/ha.conf",
        ["stop event-manager", "restart pgbouncer", "restart event-manager"],
    ),
    ("db", "/etc/ha/postgresql.d/10-ha.conf", ["reload pgautofailover"]),
    ("db", "/etc/ha/pg_hba.conf", ["reload pgautofailover"]),
    ("db", "/etc/ha/tls/host.crt", ["reload pgautofailover"]),
    ("db", "/srv/data/postgresql/autoctl/config/pg_autoctl.cfg", ["reload pgautofailover"]),
    ("db", "/usr/local/lib/ha/fence", ["restart ha-fence"]),
    ("db", "/etc/ha/fence.nft", ["restart ha-fence"]),
    ("db", "/usr/local/lib/ha/primary-check", ["restart ha-primary-check"]),
    (
        "db",
        "/usr/local/lib/ha/witness.py",
        ["restart ha-fence", "restart ha-primary-check", "restart ha-stalled-standby"],
    ),
    ("db", "/usr/local/lib/ha/stalled-disk", ["restart ha-stalled-disk"]),
    # PostgreSQL and the timers start these anew each time.
    ("db", "/usr/local/lib/ha/pgbackrest-archive-push", []),
    ("db", "/usr/local/lib/ha/repository.py", []),
    ("db", "/usr/local/lib/ha/archive-watch", []),
    ("db", "/usr/local/lib/ha/rebuild", []),
    ("db", "/etc/pgbackrest/pgbackrest.conf", []),
    ("db", "/etc/systemd/system/ha-stalled-keeper.service", ["restart ha-stalled-keeper"]),
    ("db", "/etc/default/prometheus-postgres-exporter", ["restart prometheus-postgres-exporter"]),
    ("cache", "/etc/redis/redis.conf", ["restart redis-server"]),
    ("cache", "/etc/ha/tls/host.crt", ["stop redis-sentinel", "restart redis-sentinel", "restart redis-server"]),
    ("cache", "/usr/local/lib/ha/redis-role", ["restart ha-redis-role"]),
    ("cache", "/etc/default/prometheus-redis-exporter", ["restart prometheus-redis-exporter"]),
    ("monitor", "/etc/prometheus/prometheus.yml", ["reload prometheus"]),
    ("monitor", "/etc/prometheus/rules/more.yml", ["reload prometheus"]),
    ("monitor", "/etc/prometheus/ha.tmpl", ["reload prometheus-alertmanager"]),
    ("monitor", "/etc/default/prometheus", ["restart prometheus"]),
    ("monitor", "/etc/ha/pg_hba.conf", ["reload pgautofailover"]),
    ("monitor", "/etc/ha/pg_ident.conf", ["reload pgautofailover"]),
    ("monitor", "/etc/ha/postgres.env", ["restart pgautofailover"]),
    ("restore", "/etc/ha/postgres.env", ["restart ha-restored"]),
]


def prepared(folder: Path, tier: str) -> SimulatedHost:
    host = SimulatedHost(folder, f"{tier}1", **PAIRS)
    {"lb": _lb, "app": _app, "db": _db, "cache": _cache, "monitor": _monitor, "restore": _restore}[tier](host)
    for name in ("systemd-tmpfiles", "journalctl", "haproxy", "hand-over"):
        host.stand_in(name)
    if (host.root / "usr/local/lib/ha/hand-over").exists():
        host.replace_program("/usr/local/lib/ha/hand-over")
    step = Path(f"{host.root}{STEPS}05-host")
    step.write_text(step.read_text().replace("/usr/lib/systemd/systemd-sysctl", "true"))
    return host


def _lb(host: SimulatedHost) -> None:
    host.replace_program("/usr/local/lib/ha/site-certificate")
    host.stand_in("keepalived")
    host.stand_in("ip", "echo here")


def _app(host: SimulatedHost) -> None:
    host.stand_in("id")
    # `wanted` is the release that the host is to run.
    release = "cd ROOT/var/www/event-manager; t=$(cat wanted 2>/dev/null | wc -l)"
    (host.root / "var/www/event-manager").mkdir(parents=True)
    host.replace_program(
        "/usr/local/sbin/ha-release", f'{release}; mkdir -p r$t; [ "$(readlink current)" = r$t ] || ln -sfn r$t current'
    )


def _db(host: SimulatedHost) -> None:
    _postgres(host)
    (host.root / "var/lib/postgresql").mkdir(parents=True)
    host.replace_program("/usr/local/sbin/ha-database")
    host.replace_program("/usr/local/lib/ha/in-maintenance")


def _postgres(host: SimulatedHost) -> None:
    host.edit("/srv/data/postgresql/created", "")
    host.replace_program(
        "/usr/local/sbin/ha-postgres",
        "case $1 in pg_controldata) echo 'Database system identifier: 42' ;; *) cat >/dev/null ;; esac",
    )
    # What needs a restart.
    host.replace_program("/usr/local/lib/ha/postgres-settings", "cat ROOT/pending 2>/dev/null || true")


def _cache(host: SimulatedHost) -> None:
    host.stand_in("systemd-detect-virt")


def _monitor(host: SimulatedHost) -> None:
    _postgres(host)
    host.stand_in("stat", "echo postgres")
    for name in ("amtool", "promtool"):
        host.stand_in(name)
    host.stand_in("python3", "cat")


def _restore(host: SimulatedHost) -> None:
    host.edit("/srv/data/restore.json", '{"phase": "running"}')


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SimulatedHost]:
    """A host of a tier after its first set-up, the same one for all tests that change a file of it."""

    @cache
    def of(tier: str) -> SimulatedHost:
        host = prepared(tmp_path_factory.mktemp(tier), tier)
        host.steps(*STEPS_OF[tier])
        assert host.did()
        return host

    return of


@pytest.mark.parametrize("tier", sorted(STEPS_OF))
def test_a_second_run_touches_no_service(tier: str, serving: Callable[[str], SimulatedHost]) -> None:
    host = serving(tier)
    host.steps(*STEPS_OF[tier])
    host.did()
    said = host.steps(*STEPS_OF[tier])
    assert host.did() == []
    assert ".service: " not in said


def read_by_services(host: SimulatedHost, tier: str) -> dict[str, int]:
    """When each file that a service of the host reads changed, in nanoseconds."""
    found = services(files_of(f"{tier}1", **PAIRS)).values()
    watched = {host.root / path.lstrip("/") for one in found for path in (*one.own, *one.reload_for, *one.restart_for)}
    files = {file for path in watched for file in (path, *path.rglob("*")) if file.is_symlink() or file.exists()}
    return {str(file): file.lstat().st_ctime_ns for file in files if not file.is_dir() or file.is_symlink()}


@pytest.mark.parametrize("tier", sorted(STEPS_OF))
def test_a_second_run_writes_no_file_that_a_service_reads(tier: str, serving: Callable[[str], SimulatedHost]) -> None:
    """Or each service that systemd restarted, after a crash or by hand, were restarted once more at the next change."""
    host = serving(tier)
    before = read_by_services(host, tier)
    host.steps(*STEPS_OF[tier])
    assert len(before) > 5
    assert read_by_services(host, tier) == before


@pytest.mark.parametrize(("tier", "path", "done"), CHANGES)
def test_a_changed_file_touches_the_service_that_reads_it(
    tier: str, path: str, done: list[str], serving: Callable[[str], SimulatedHost]
) -> None:
    host = serving(tier)
    host.edit(path)
    host.steps(*STEPS_OF[tier])
    assert host.did() == done


@pytest.mark.parametrize(
    ("tier", "step", "path"),
    [
        ("lb", "40-haproxy", "/etc/systemd/system/haproxy.service.d/ha.conf"),
        ("lb", "50-public-address", "/etc/systemd/system/keepalived.service.d/ha.conf"),
        ("cache", "40-redis", "/etc/redis/redis.conf"),
        ("db", "50-node", "/usr/local/lib/ha/fence"),
        ("db", "50-node", "/usr/local/lib/ha/primary-check"),
        ("db", "50-node", "/etc/systemd/system/pgautofailover.service.d/keeper.conf"),
    ],
)
def test_a_host_that_cannot_hand_over_keeps_its_service_running(
    tier: str, step: str, path: str, tmp_path: Path
) -> None:
    host = prepared(tmp_path, tier)
    host.steps(step)
    host.did()
    host.edit(path)
    host.replace_program("/usr/local/lib/ha/hand-over", "echo 'not handed over' >&2; exit 1")
    done = host.run("bash", f"{host.root}{STEPS}{step}")
    assert done.returncode != 0
    assert "not handed over" in done.stderr
    assert host.did() == []


@pytest.mark.parametrize(
    ("tier", "step", "program"),
    [
        ("lb", "40-haproxy", "haproxy"),
        ("lb", "50-public-address", "keepalived"),
        ("app", "40-database-route", "haproxy"),
        ("monitor", "50-metrics", "promtool"),
        ("monitor", "50-metrics", "amtool"),
    ],
)
def test_what_its_own_program_refuses_is_not_loaded(tier: str, step: str, program: str, tmp_path: Path) -> None:
    host = prepared(tmp_path, tier)
    host.steps(step)
    host.did()
    host.stand_in(program, "echo 'line 3: unknown keyword' >&2; exit 1")
    for path in ("/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf", "/etc/prometheus/prometheus.yml"):
        host.edit(path)
    done = host.run("bash", f"{host.root}{STEPS}{step}")
    assert done.returncode != 0
    assert "line 3" in done.stderr
    assert host.did() == []


def test_what_a_sentinel_found_out_survives_a_new_configuration(tmp_path: Path) -> None:
    host = prepared(tmp_path, "cache")
    host.steps("38-sentinel")
    state = host.root / "srv/data/sentinel/sentinel.conf"
    text = state.read_text()
    found = ["sentinel myid abc", "sentinel config-epoch sessions 7", "sentinel known-replica sessions 10.0.0.9 6379"]
    monitor = next(line for line in text.splitlines() if line.startswith("sentinel monitor "))
    state.write_text(text.replace(monitor, "sentinel monitor sessions 10.9.9.9 6379 2") + "\n".join(found) + "\n")
    host.edit("/etc/ha/tls/host.crt")
    host.steps("38-sentinel")
    lines = state.read_text().splitlines()
    assert "sentinel monitor sessions 10.9.9.9 6379 2" in lines
    assert set(found) <= set(lines)
    assert len([line for line in lines if line.startswith("sentinel monitor ")]) == 1

"""A restart of PostgreSQL: when the step does one, how commits are kept from waiting, and what a hand-over refuses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ops.switchover import MAX_LAG_BYTES
from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.simulated_host import SimulatedHost

LIBRARY = "/usr/local/lib/ha/"
# A monitor whose state of this node is a file; a change takes effect at once.
PSQL = r"""
case "$*" in
  *'config get'*) echo postgres://monitor ;;
  *'pg_ctl status'*) [ ! -e ROOT/down ] ;;
  *start_maintenance*) echo start_maintenance >>ROOT/order; echo maintenance maintenance >ROOT/state ;;
  *stop_maintenance*) echo stop_maintenance >>ROOT/order; echo secondary secondary >ROOT/state ;;
  *perform_failover*) cat ROOT/asked; echo failover >>ROOT/order; echo done >ROOT/settled ;;
  *pg_is_in_recovery*) cat ROOT/recovers ;;
  *pg_stat_replication*) cat ROOT/synchronous ;;
  *'count(*)'*) [ ! -e ROOT/settled ] || echo 1 ;;
  *concat*) cat ROOT/state ;;
  *checkpoint*) ;;
esac
"""


def database(folder: Path, **known: str) -> SimulatedHost:
    host = SimulatedHost(folder, "db1")
    host.replace_program("/usr/local/sbin/ha-postgres", PSQL)
    for name, text in known.items():
        (host.root / name).write_text(text + "\n")
    host.stand_in("restart", "echo restart >>ROOT/order")
    host.stand_in("sleep")
    (host.root / "srv/data/postgresql").mkdir(parents=True)
    return host


def order(host: SimulatedHost) -> list[str]:
    path = host.root / "order"
    return path.read_text().splitlines() if path.exists() else []


def program(host: SimulatedHost, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return host.run(f"{host.root}{LIBRARY}{name}", *arguments)


def mark(host: SimulatedHost) -> Path:
    return host.root / "srv/data/postgresql/in-maintenance"


def test_a_standby_restarts_while_nobody_waits_for_it(tmp_path: Path) -> None:
    host = database(tmp_path, state="secondary secondary")
    done = program(host, "in-maintenance", "restart")
    assert done.returncode == 0, done.stderr
    assert order(host) == ["start_maintenance", "restart", "stop_maintenance"]
    assert not mark(host).exists()


def test_maintenance_ends_even_if_the_restart_fails(tmp_path: Path) -> None:
    host = database(tmp_path, state="secondary secondary")
    assert program(host, "in-maintenance", "false").returncode != 0
    assert order(host) == ["start_maintenance", "stop_maintenance"]
    assert not mark(host).exists()


def test_the_next_run_ends_what_an_interrupted_one_left(tmp_path: Path) -> None:
    host = database(tmp_path, state="maintenance maintenance")
    mark(host).touch()
    assert program(host, "in-maintenance").returncode == 0
    assert order(host) == ["stop_maintenance"]
    assert not mark(host).exists()


def test_the_maintenance_of_an_operator_is_left_alone(tmp_path: Path) -> None:
    host = database(tmp_path, state="maintenance maintenance")
    assert program(host, "in-maintenance").returncode == 0
    done = program(host, "in-maintenance", "restart")
    assert done.returncode != 0
    assert "pg_autoctl disable maintenance" in done.stderr
    assert order(host) == []


def test_a_standby_that_does_not_keep_up_just_restarts(tmp_path: Path) -> None:
    host = database(tmp_path, state="catchingup catchingup")
    assert program(host, "in-maintenance", "restart").returncode == 0
    assert order(host) == ["restart"]


def test_a_primary_is_handed_over(tmp_path: Path) -> None:
    host = database(tmp_path, recovers="f", synchronous="1", asked="1")
    done = program(host, "hand-over")
    assert done.returncode == 0, done.stderr
    assert order(host) == ["failover"]


def test_a_backup_is_stopped_before_the_hand_over(tmp_path: Path) -> None:
    host = database(tmp_path, recovers="f", synchronous="1", asked="1")
    host.stand_in("systemctl", 'echo "$*" >>ROOT/order; exit 5')
    assert program(host, "hand-over").returncode == 0
    assert order(host) == ["stop ha-backup-now.service", "failover"]


@pytest.mark.parametrize("known", [{"recovers": "t"}, {"down": ""}])
def test_a_node_that_serves_nobody_has_nothing_to_hand_over(tmp_path: Path, known: dict[str, str]) -> None:
    host = database(tmp_path, **known)
    assert program(host, "hand-over").returncode == 0
    assert order(host) == []


def test_without_a_synchronous_standby_nothing_is_asked_of_the_monitor(tmp_path: Path) -> None:
    host = database(tmp_path, recovers="f", synchronous="0", asked="1")
    done = program(host, "hand-over")
    assert done.returncode != 0
    assert done.stderr.startswith("not handed over: no synchronous standby")
    assert len(done.stderr.splitlines()) == 1
    assert order(host) == []


def test_the_monitor_may_see_no_healthy_secondary(tmp_path: Path) -> None:
    host = database(tmp_path, recovers="f", synchronous="1", asked="0")
    done = program(host, "hand-over")
    assert done.returncode != 0
    assert "not handed over: the failover monitor" in done.stderr


def test_a_host_and_the_command_allow_the_same_lag() -> None:
    (lag,) = re.findall(r"^max_lag=(\d+)$", files_of("db1")[f"{LIBRARY}hand-over"], re.MULTILINE)
    assert int(lag) == MAX_LAG_BYTES


def node(folder: Path) -> SimulatedHost:
    """A host whose node has been set up once. `pending` is what needs a restart; a hand-over of a primary restarts."""
    host = SimulatedHost(folder, "db1")
    host.edit("/srv/data/postgresql/created", "")
    host.replace_program("/usr/local/sbin/ha-postgres")
    host.replace_program(f"{LIBRARY}postgres-settings", "cat ROOT/pending 2>/dev/null || true")
    host.replace_program(f"{LIBRARY}in-maintenance", '"$@"')
    host.replace_program(f"{LIBRARY}hand-over", "[ ! -e ROOT/primary ] || rm -f ROOT/primary ROOT/pending")
    host.steps("50-node")
    host.did()
    (host.root / "calls").unlink(missing_ok=True)
    return host


def test_a_setting_that_needs_a_restart_restarts_the_standby(tmp_path: Path) -> None:
    host = node(tmp_path)
    host.edit("/etc/ha/postgresql.d/10-ha.conf")
    (host.root / "pending").write_text("max_connections\n")
    said = host.steps("50-node")
    assert "PostgreSQL has to restart: max_connections" in said
    assert host.sandbox.calls("hand-over")
    assert host.sandbox.calls("in-maintenance")[-1] == "in-maintenance systemctl restart pgautofailover"
    assert host.did() == ["reload pgautofailover", "restart pgautofailover"]


def test_a_primary_that_was_handed_over_has_restarted_already(tmp_path: Path) -> None:
    host = node(tmp_path)
    (host.root / "pending").write_text("max_connections\n")
    (host.root / "primary").touch()
    host.steps("50-node")
    assert host.sandbox.calls("hand-over")
    assert host.did() == []


def test_a_changed_unit_of_postgresql_restarts_in_maintenance(tmp_path: Path) -> None:
    host = node(tmp_path)
    (host.root / "primary").touch()
    host.edit("/etc/systemd/system/pgautofailover.service")
    host.steps("50-node")
    assert host.sandbox.calls("hand-over")
    assert host.sandbox.calls("in-maintenance")[-1] == "in-maintenance systemctl restart pgautofailover.service"
    assert host.did() == ["restart pgautofailover"]


def test_settings_that_postgresql_rejects_are_not_loaded(tmp_path: Path) -> None:
    host = node(tmp_path)
    host.edit("/etc/ha/postgresql.d/10-ha.conf")
    host.replace_program(f"{LIBRARY}postgres-settings", "echo '10-ha.conf, line 3: work_mem' >&2; exit 1")
    done = host.run("bash", f"{host.root}{LIBRARY}steps/50-node")
    assert done.returncode != 0
    assert "line 3: work_mem" in done.stderr
    assert host.did() == []


def test_a_primary_that_cannot_hand_over_is_not_restarted(tmp_path: Path) -> None:
    host = node(tmp_path)
    (host.root / "pending").write_text("max_connections\n")
    host.replace_program(f"{LIBRARY}hand-over", "echo 'not handed over: no synchronous standby' >&2; exit 1")
    done = host.run("bash", f"{host.root}{LIBRARY}steps/50-node")
    assert done.returncode != 0
    assert "no synchronous standby" in done.stderr
    assert host.did() == []


@pytest.mark.parametrize(
    ("rows", "status", "out", "error"),
    [
        ("", 0, "", ""),
        ("restart max_connections", 0, "max_connections\n", ""),
        (
            "wrong 10-ha.conf, line 3: work_mem: bad\nrestart max_connections",
            1,
            "",
            "10-ha.conf, line 3: work_mem: bad",
        ),
    ],
)
def test_settings_are_sorted_into_those_that_need_a_restart_and_those_that_are_wrong(
    tmp_path: Path, rows: str, status: int, out: str, error: str
) -> None:
    host = SimulatedHost(tmp_path, "db1")
    (host.root / "rows").write_text(rows)
    host.replace_program("/usr/local/sbin/ha-postgres", 'if [ "$1" = psql ]; then cat ROOT/rows; fi')
    done = program(host, "postgres-settings")
    assert (done.returncode, done.stdout) == (status, out)
    assert error in done.stderr


def test_what_would_not_start_is_refused_before_it_runs(tmp_path: Path) -> None:
    host = SimulatedHost(tmp_path, "db1")
    host.replace_program("/usr/local/sbin/ha-postgres", "[ \"$1 $2\" != 'postgres -C' ] || { echo FATAL >&2; exit 1; }")
    done = program(host, "postgres-settings")
    assert done.returncode != 0
    assert "FATAL" in done.stderr

"""The soak's stress: what makes a healthy pair look ill, without any fault.

Both database hosts are limited to the baseline of their instance type, as without CPU credits. They run a busy loop on
each processor, and their disk is written to all the time. The path to the failover monitor is slow, uneven and lossy.
The primary takes a bulk load with checkpoints. What runs on a host is a transient systemd unit with a time limit, so
that it ends even if nobody stops it.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence

from drills.fault_injector import LONGEST_S, FaultInjector, Impairment, NetworkPath
from drills.primary import run_on_primary
from ops.postgres import ADMIN_DATABASE, psql_command
from spec.instance_types import InstanceType

TO_MONITOR = Impairment(max_delay_s=0.2, loss=0.01)
"""On packets to the monitor only, so a round trip takes up to 0.2 s; a health check takes two of them."""
TABLE = "ha_drill_bulk"
_FILE = "/srv/data/ha-drill-disk"
_ROWS = 100_000
"""About 60 MB of table and as much WAL in one statement."""
_BLOCK_MIB, _BLOCKS, _PAUSE_S = 16, 8, 0.5
_BASELINE_PERCENT: Mapping[str, int] = {"nano": 5, "micro": 10, "small": 20, "medium": 20, "large": 30}
"""Of each processor, for the t3 family without CPU credits.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-credits-baseline-concepts.html"""

_BUSY = "while :; do :; done"
_DISK = f"""
import os, time
while True:
    with open("{_FILE}", "wb") as file:
        for _ in range({_BLOCKS}):
            file.write(os.urandom(1 << 20) * {_BLOCK_MIB})
            file.flush()
            os.fdatasync(file.fileno())
            time.sleep({_PAUSE_S})
"""
_FILL_TABLE = psql_command(
    ADMIN_DATABASE,
    # A node that shuts down waits for its sessions, so this one must notice that its client is gone.
    "set client_connection_check_interval = '1s'",
    f"truncate {TABLE}",
    f"insert into {TABLE} select n, repeat(md5(n::text), 16) from generate_series(1, {_ROWS}) n",  # noqa: S608 - ours
    "checkpoint",
    f"update {TABLE} set n = -n where n % 4 = 0",  # noqa: S608 - ours
    "checkpoint",
)
_BULK = f"while :; do {_FILL_TABLE} || sleep 1; done"
_UNITS = ("ha-drill-busy", "ha-drill-disk", "ha-drill-bulk")


def baseline_cpus(machine: InstanceType) -> float | None:
    """How many processors a host without CPU credits has; None for a type that has no credits at all."""
    percent = _BASELINE_PERCENT.get(machine.name.partition(".")[2]) if machine.burstable else None
    return None if percent is None else machine.vcpus * percent / 100


def start(injector: FaultInjector, primary: str, standby: str, monitor: str) -> None:
    """Starts the stress."""
    machine = injector.settings.database.machine
    for host in (primary, standby):
        injector.throttle(host, baseline_cpus(machine))
    injector.run(primary, psql_command(ADMIN_DATABASE, f"create table if not exists {TABLE} (n int, filling text)"))
    busy = f"for _ in $(seq {machine.vcpus}); do sh -c {shlex.quote(_BUSY)} & done; wait"
    for host in (primary, standby):
        injector.run(host, _unit("ha-drill-busy", ["sh", "-c", busy]))
        injector.run(host, _unit("ha-drill-disk", ["python3", "-c", _DISK]))
    injector.run(primary, _unit("ha-drill-bulk", ["sh", "-c", _BULK]))
    injector.impair([NetworkPath(host, monitor) for host in (primary, standby)], TO_MONITOR)


def _unit(name: str, command: Sequence[str]) -> str:
    limits = f"--property=RuntimeMaxSec={LONGEST_S:g} --property=TimeoutStopSec=5"
    return f"systemd-run --quiet --collect --unit={name} {limits} {shlex.join(command)}"


def stop(injector: FaultInjector, primary: str, standby: str) -> None:
    """Stops the stress and removes what it left. Each part is undone even when another cannot be."""
    with contextlib.ExitStack() as undoing:
        undoing.callback(run_on_primary, injector, (primary, standby), ADMIN_DATABASE, f"drop table if exists {TABLE}")
        for host in (primary, standby):
            # Runs in reverse order: without their limit, busy loops would take the processors from every other host.
            undoing.callback(injector.throttle, host, None)
            undoing.callback(injector.run, host, _stop_units(), check=False)
        undoing.callback(injector.unimpair)


def _stop_units() -> str:
    names = " ".join(_UNITS)
    return f"systemctl stop {names} 2>/dev/null; systemctl reset-failed {names} 2>/dev/null; rm -f {_FILE}"

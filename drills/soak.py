"""The soak's stress: everything that makes a healthy pair look ill, and nothing that is a fault.

Both database hosts have no CPU credits left, so that they are held to their type's baseline, with busy loops on every
processor of theirs and a disk that is written to all the time; the way to the failover monitor is slow, uneven and
lossy; the primary takes a bulk load and checkpoints. What works on a host is a transient unit of its own, bounded in
time, so that it ends by itself if nobody is left to heal.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence

from drills.ground import LONGEST_S, Ground, Roughness, Way
from drills.tidy import tell_primary
from spec.instance_types import InstanceType

TO_MONITOR = Roughness(delay_up_to_s=0.2, loss=0.01)
"""On the way to it, as the promise says: a round trip takes up to 0.2 s, and a health check two of them."""
TABLE = "ha_drill_bulk"
_FILE = "/srv/data/ha-drill-disk"
_ROWS = 100_000
"""Some 60 MB of table and as much of WAL in one statement."""
_BLOCK_MIB, _BLOCKS, _PAUSE_S = 16, 8, 0.5
_BASELINE_PERCENT: Mapping[str, int] = {"nano": 5, "micro": 10, "small": 20, "medium": 20, "large": 30}
"""Of each processor, for the t3 family: what a host gets whose credits are used up.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-credits-baseline-concepts.html"""

_PSQL = "/usr/local/sbin/ha-postgres psql -Xq -v ON_ERROR_STOP=1 -d postgres"
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
# A node that is shutting down waits for its sessions, as it would for any other bulk load's.
_BULK = f"""
while :; do
  {_PSQL} -c "set client_connection_check_interval = '1s'" -c 'truncate {TABLE}' \
    -c 'insert into {TABLE} select n, repeat(md5(n::text), 16) from generate_series(1, {_ROWS}) n' -c checkpoint \
    -c 'update {TABLE} set n = -n where n % 4 = 0' -c checkpoint || sleep 1
done
"""  # noqa: S608 - ours
_UNITS = ("ha-drill-busy", "ha-drill-disk", "ha-drill-bulk")


def baseline_cpus(machine: InstanceType) -> float | None:
    """Processors of a host that has no credits; None for a type that has no credits ever."""
    percent = _BASELINE_PERCENT.get(machine.name.partition(".")[2]) if machine.burstable else None
    return None if percent is None else machine.vcpus * percent / 100


def begin(ground: Ground, primary: str, standby: str, monitor: str) -> None:
    """Puts the pair under stress."""
    machine = ground.settings.database.machine
    for host in (primary, standby):
        ground.throttle(host, baseline_cpus(machine))
    ground.run(primary, f"{_PSQL} -c 'create table if not exists {TABLE} (n int, filling text)'")
    busy = f"for _ in $(seq {machine.vcpus}); do sh -c {shlex.quote(_BUSY)} & done; wait"
    for host in (primary, standby):
        ground.run(host, _unit("ha-drill-busy", ["sh", "-c", busy]))
        ground.run(host, _unit("ha-drill-disk", ["python3", "-c", _DISK]))
    ground.run(primary, _unit("ha-drill-bulk", ["sh", "-c", _BULK]))
    ground.roughen([Way(host, monitor) for host in (primary, standby)], TO_MONITOR)


def _unit(name: str, command: Sequence[str]) -> str:
    limits = f"--property=RuntimeMaxSec={LONGEST_S:g} --property=TimeoutStopSec=5"
    return f"systemd-run --quiet --collect --unit={name} {limits} {shlex.join(command)}"


def end(ground: Ground, primary: str, standby: str) -> None:
    """Ends the stress and removes what it left. Each part is undone even when another cannot be."""
    with contextlib.ExitStack() as undoing:
        undoing.callback(tell_primary, ground, (primary, standby), "postgres", f"drop table if exists {TABLE}")
        for host in (primary, standby):
            # Undone backwards: busy loops that are let go before they are ended take the processors from everybody.
            undoing.callback(ground.throttle, host, None)
            undoing.callback(ground.run, host, _stop_units(), check=False)
        undoing.callback(ground.smooth)


def _stop_units() -> str:
    names = " ".join(_UNITS)
    return f"systemctl stop {names} 2>/dev/null; systemctl reset-failed {names} 2>/dev/null; rm -f {_FILE}"

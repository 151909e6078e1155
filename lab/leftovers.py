"""What a lab that died leaves behind although the kernel cleaned up, and taking it away."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from components.errors import HaError
from lab.hosts import loop
from lab.hosts.cgroups import CgroupTree
from lab.supervisor.config import StatePaths
from lab.waiting import eventually

DEADLINE_S = 20.0


def clean(state: Path) -> None:
    """Removes all traces of a lab that is not running: waits for the kernel to end its parts, then deletes its state.

    :raises HaError: when something is still in use after `DEADLINE_S`.
    """
    cgroups = CgroupTree(state)
    for pid in cgroups.processes():
        os.kill(pid, signal.SIGKILL)
    eventually("the lab's processes are gone", lambda: not cgroups.processes(), deadline_s=DEADLINE_S)
    eventually("the lab's loop devices are detached", lambda: not attached(state), deadline_s=DEADLINE_S)
    cgroups.remove()
    if mounted := mounts_below(state):
        raise HaError("something is mounted in the lab's state", where=", ".join(mounted), fix="unmount it")
    extra = StatePaths(state).loop_devices
    if extra.exists():
        for number in map(int, extra.read_text(encoding="ascii").split()):
            loop.remove(number)
    if state.exists():
        shutil.rmtree(state)


def attached(state: Path) -> list[int]:
    """The loop devices that still hold a file of the lab's state."""
    prefix = f"{state}/"
    return [number for number, path in loop.backing_files().items() if path.startswith(prefix)]


def mounts_below(state: Path) -> list[str]:
    """Mount points of this process's mount namespace in the lab's state."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(f"{state}/")]

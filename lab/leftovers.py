"""Removes what a crashed lab leaves on the machine after the kernel has ended its processes and mounts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from lab import lock
from lab.hosts import loop
from lab.hosts.cgroups import CgroupTree
from lab.supervisor.config import StatePaths
from lab.waiting import eventually
from spec.errors import EXIT_USAGE, HaError

DEADLINE_S = 20.0


def make_state(state: Path) -> None:
    """Makes the lab's state folder, for root alone, with the marker file that `clean` requires."""
    state.mkdir(parents=True, mode=0o700)
    StatePaths(state).marker.write_text("made by `ha lab up`, removed by `ha lab down`\n", encoding="utf-8")
    StatePaths(state).engine.mkdir()


def check_state(state: Path) -> None:
    """:raises HaError: (exit 2) when the lab's state cannot be there, or something that no lab made is."""
    if state.is_dir() and not os.path.ismount(state):
        if StatePaths(state).marker.is_file() or not any(state.iterdir()):
            return
        what, fix = (
            "this folder holds something that no lab made",
            "name another folder, or one that does not exist yet",
        )
    elif os.path.lexists(state):
        what, fix = (
            "the lab's state must be a folder, not a file or a mount point",
            "name a folder that does not exist yet",
        )
    else:
        nearest = next(parent for parent in state.parents if os.path.lexists(parent))
        if nearest.is_dir():
            return
        what, fix = f"the lab's state cannot be here: {nearest} is not a folder", "name another folder"
    raise HaError(what, where=f"{state} (HA_LAB_STATE)", fix=fix, exit_code=EXIT_USAGE)


def clean(state: Path) -> None:
    """Removes all traces of a lab that does not run: waits for the kernel to end its parts, then deletes its state.

    :raises HaError: when the state is no lab's (exit 2), or something is still in use after `DEADLINE_S`.
    """
    check_state(state)
    end_processes(state)
    with _engine_stopped(StatePaths(state)):
        eventually("the lab's loop devices are detached", lambda: not attached(state), deadline_s=DEADLINE_S)
        CgroupTree(state).remove()
        if mounted := mounts_below(state):
            raise HaError("something is mounted in the lab's state", where=", ".join(mounted), fix="unmount it")
        extra = StatePaths(state).loop_devices
        if extra.exists():
            for number in map(int, extra.read_text(encoding="ascii").split()):
                loop.remove(number)
        if state.exists():
            _delete(state)


@contextlib.contextmanager
def _engine_stopped(paths: StatePaths) -> Iterator[None]:
    """Holds the engine's lock for the block. Who started a worker that was killed releases it on noticing.

    :raises HaError: when that takes longer than `DEADLINE_S`.
    """
    with contextlib.ExitStack() as stack:
        if paths.engine.is_dir():  # it does not exist without a lab, or after an interrupted removal
            try:
                stack.enter_context(lock.held(paths.engine_lock, doing="removing the lab", wait_s=DEADLINE_S))
            except BlockingIOError as error:
                pid, _ = lock.holder(paths.engine_lock)
                raise HaError(
                    "an operation of the engine does not end",
                    where=str(paths.engine_lock),
                    fix=f"end process {pid}" if pid else "end the process that holds this file",
                ) from error
        yield


def _delete(state: Path) -> None:
    # The control socket first, as it says that a lab runs; the marker last, so that a removal can be repeated.
    StatePaths(state).control.unlink(missing_ok=True)
    for path in state.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != StatePaths(state).marker:
            path.unlink()
    shutil.rmtree(state)


def end_processes(state: Path, group: str = "") -> None:
    """Kills the processes in a control group of the lab (by default in all) and waits until they are gone."""
    cgroups = CgroupTree(state)

    def gone() -> bool:
        # Listed each time: a process may have started another before it was killed.
        found = cgroups.processes(group)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(pid, signal.SIGKILL)
        return not found

    eventually("the lab's processes are gone", gone, deadline_s=DEADLINE_S)


def attached(state: Path) -> list[int]:
    """The loop devices that still hold a file of the lab's state."""
    prefix = f"{state}/"
    return [number for number, path in loop.backing_files().items() if path.startswith(prefix)]


def mounts_below(state: Path) -> list[str]:
    """Mount points of this process's mount namespace in the lab's state."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(f"{state}/")]

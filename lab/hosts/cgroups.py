"""A control group of its own for every host, on machines with cgroup v2 and on those that still mount v1 beside it.

With a shared group a `systemctl kill` in one host reaches another's processes; with one each, memory has a limit of
its own too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.process import Argument

_MOUNT = Path("/sys/fs/cgroup")
# Moves itself into the groups named before "--", then becomes the program named after it. It fails if a group is gone:
# outside of the groups a program would not end with the lab.
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'


HOST_CPU_WEIGHT = 100
SUPERVISOR_CPU_WEIGHT = 500
"""The API must answer at once however busy the hosts are: SDKs wait for metadata no longer than a second."""
ENGINE_CPU_WEIGHT = 300
"""So that booted hosts do not starve the engine, which still has to make the others."""
_LAB_CPU_WEIGHT = 1000
_PERIOD_US = 10_000
"""Short: with the usual 100 ms a limited host would stop for most of each period."""


def _set(path: Path, names: tuple[str, ...], value: int) -> None:
    """Writes a value to those of the files that exist in this hierarchy."""
    for name in names:
        if (path / name).exists():
            (path / name).write_text(str(value), encoding="ascii")


def _set_weight(path: Path, weight: int) -> None:
    _set(path, ("cpu.weight",), weight)
    _set(path, ("cpu.shares",), weight * 1024 // 100)


class CgroupTree:
    """The part of the machine's control groups that belongs to the lab of one state directory."""

    def __init__(self, state: Path) -> None:
        self.name = f"event-manager-ha-{hashlib.sha256(str(state).encode()).hexdigest()[:8]}"
        self.unified = (_MOUNT / "cgroup.controllers").exists()
        names = [""] if self.unified else ["unified", "systemd", "memory", "cpu"]
        mounts = [_MOUNT / name for name in names]
        self.roots = [mount / self.name for mount in mounts if (mount / "cgroup.procs").exists()]

    def paths(self, group: str) -> list[Path]:
        """The directory of a group in every hierarchy, whether it exists or not."""
        return [root / group for root in self.roots]

    def create(self, group: str, *, memory_mib: int | None = None, cpu_weight: int = HOST_CPU_WEIGHT) -> list[Path]:
        """Makes a group; returns its directory in every hierarchy.

        :param memory_mib: the most memory that it may use; above that the kernel kills one of its processes.
        :param cpu_weight: its share of busy processors, relative to the other groups' weights.
        """
        paths = self.paths(group)
        if self.unified:
            for parent in (_MOUNT, self.roots[0]):
                parent.mkdir(exist_ok=True)
                enabled = (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
                for controller in {"memory", "pids", "cpu"} - set(enabled):
                    with contextlib.suppress(OSError):  # a controller that this kernel or machine does not have
                        (parent / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        for path in paths:
            path.mkdir(parents=True, exist_ok=True)
            _set_weight(path.parent, _LAB_CPU_WEIGHT)
            _set_weight(path, cpu_weight)
            if memory_mib:
                _set(path, ("memory.max", "memory.limit_in_bytes"), memory_mib * 2**20)
        return paths

    def limit_cpu(self, group: str, cpus: float | None) -> None:
        """Limits a group to so many processors in each period; None lifts the limit."""
        quota_us = None if cpus is None else max(1000, round(cpus * _PERIOD_US))
        for path in self.paths(group):
            if (path / "cpu.max").exists():
                quota = "max" if quota_us is None else quota_us
                (path / "cpu.max").write_text(f"{quota} {_PERIOD_US}", encoding="ascii")
            _set(path, ("cpu.cfs_period_us",), _PERIOD_US)
            _set(path, ("cpu.cfs_quota_us",), -1 if quota_us is None else quota_us)

    @contextlib.contextmanager
    def frozen(self, group: str) -> Iterator[None]:
        """Stops the processes of a group for as long as the block; where there is no cgroup v2, nothing stops."""
        files = [path / "cgroup.freeze" for path in self.paths(group) if (path / "cgroup.freeze").exists()]
        for file in files:
            file.write_text("1", encoding="ascii")
        try:
            yield
        finally:
            for file in files:
                with contextlib.suppress(OSError):  # the group is gone, with its processes
                    file.write_text("0", encoding="ascii")

    def argv(self, groups: Sequence[Path], command: Sequence[Argument]) -> list[Argument]:
        """The command, to be run inside the groups."""
        return ["sh", "-c", _ENTER, "enter", *groups, "--", *command]

    def remove(self, group: str = "") -> None:
        """Removes a group and those below it, by default all of the lab's. Those still in use stay."""
        for root in self.roots:
            top = root / group if group else root
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()

    def processes(self, group: str = "") -> list[int]:
        """The processes in a group and those below it, by default in all of the lab's."""
        found: set[int] = set()
        for top in self.paths(group):
            for directory, _, _ in os.walk(top):
                with contextlib.suppress(OSError):
                    found.update(map(int, Path(directory, "cgroup.procs").read_text(encoding="ascii").split()))
        return sorted(found)

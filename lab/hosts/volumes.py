"""EBS volumes: sparse files in the lab's state that outlive hosts. A host sees a volume as an NVMe disk.

A snapshot is a file beside them: a copy of a volume as of one moment, see `copying`.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.aws.model import Volume
from lab.hosts import copying, loop
from lab.hosts.copying import Frozen, Progress
from lab.hosts.loop import LoopDevice

ROOT_DEVICES = ("/dev/xvda", "/dev/sda1")
BY_ID = "disk/by-id/nvme-Amazon_Elastic_Block_Store_"


class VolumeStore:
    """The files and loop devices of all volumes. A volume is created when it is first attached."""

    def __init__(self, directory: Path, added: Path) -> None:
        """`added` is a file for the numbers of the loop devices that the machine did not have before."""
        self._directory = directory
        self._added = added
        self._devices: dict[str, LoopDevice] = {}
        self._lock = threading.Lock()
        self._before = loop.numbers()
        directory.mkdir(parents=True, exist_ok=True)

    def device(self, volume: Volume) -> LoopDevice:
        """The block device of a volume, with the volume's current size."""
        size = volume.size_gib * 2**30
        path = self._path(volume.id)
        with self._lock:
            created = not path.exists()
            with path.open("ab") as file:
                grown = file.tell() < size
                if grown:
                    file.truncate(size)
            if volume.id not in self._devices:
                self._devices[volume.id] = loop.attach(path)
                self._added.write_text(" ".join(map(str, sorted(loop.numbers() - self._before))), encoding="ascii")
            elif grown and not created:
                self._devices[volume.id].grow()
            return self._devices[volume.id]

    def has(self, snapshot_id: str) -> bool:
        """Whether the bytes of a snapshot are here."""
        return self._path(snapshot_id).exists()

    def take(self, snapshot_id: str, volume: Volume, frozen: Frozen, progress: Progress) -> None:
        """Keeps the bytes that a volume has now as a snapshot.

        :raises OSError: when there is no room, or the writes to the volume do not stop; nothing is kept then.
        """
        with self._lock, self._path(volume.id).open("ab") as file:
            if file.tell() == 0:  # it was never attached
                file.truncate(volume.size_gib * 2**30)
            device = self._devices.get(volume.id)
        with self._made(snapshot_id) as target:
            copying.copy_of_one_moment(self._path(volume.id), target, device, frozen, progress)

    def fill(self, volumes: Iterable[Volume]) -> None:
        """Makes the volumes whose first bytes are those of a snapshot, before they are attached."""
        for one in volumes:
            if one.snapshot_id and self.has(one.snapshot_id) and not self._path(one.id).exists():
                with self._made(one.id) as target:
                    copying.copy(self._path(one.snapshot_id), target)

    @contextlib.contextmanager
    def _made(self, name: str) -> Iterator[Path]:
        """A file that gets its name when it is whole."""
        path = self._directory / f"part-of-{name}"
        try:
            yield path
            path.rename(self._path(name))
        finally:
            path.unlink(missing_ok=True)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Deletes the volumes and snapshots that the API has deleted."""
        wanted = set(ids)
        with self._lock:
            for path in (*self._directory.glob("vol-*"), *self._directory.glob("snap-*")):
                if path.name not in wanted:
                    device = self._devices.pop(path.name, None)
                    if device:
                        device.close()
                    path.unlink()

    def close(self) -> None:
        """Detaches everything."""
        with self._lock:
            for device in self._devices.values():
                device.close()
            self._devices.clear()

    def _path(self, name: str) -> Path:
        return self._directory / name


def show(dev: Path, index: int, volume_id: str, device: LoopDevice) -> None:
    """Puts a volume into a host's /dev, under the names that EC2's udev rules give it."""
    node = dev / f"nvme{index}n1"
    _unlink(node)
    os.mknod(node, stat.S_IFBLK | 0o660, device.device)
    link = dev / f"{BY_ID}{volume_id.replace('-', '', 1)}"
    link.parent.mkdir(parents=True, exist_ok=True)
    _unlink(link)
    link.symlink_to(f"../../{node.name}")


def hide(dev: Path, index: int, volume_id: str) -> None:
    """Removes a volume from a host's /dev."""
    _unlink(dev / f"{BY_ID}{volume_id.replace('-', '', 1)}")
    _unlink(dev / f"nvme{index}n1")


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()

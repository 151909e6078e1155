"""Copies of sparse files; of a volume's as of one moment, also while a host writes to it, as EBS snapshots are.

The kernel counts the writes of a block device. A copy during which there was none is of one moment, and it has what the
device had then: what a file system still held in memory is missing, as after a power failure. While a host keeps
writing, its processes are stopped for the second copy, which writes only what differs from the first.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from lab.hosts.loop import LoopDevice

_CHUNK: Final = 2**20
STOPPED_S: Final = 20.0
"""How long a host may be stopped. The kernel goes on to write what the host had in memory, every five seconds."""

Frozen = Callable[[], AbstractContextManager[None]]
"""Stops what writes to the volume, for as long as the block."""
Progress = Callable[[int], None]
"""Called with how many per cent are copied."""


def copy_of_one_moment(
    source: Path, target: Path, device: LoopDevice | None, frozen: Frozen, progress: Progress
) -> None:
    """Copy the file of a volume. `device`: the block device through which it is written; None: nothing writes to it.

    :raises OSError: when there is no room, or writes do not stop within `STOPPED_S`.
    """

    def copied() -> bool:
        before = device.writes() if device else 0
        copy(source, target, progress)
        return device is None or device.unchanged_since(before)

    if copied():
        return
    with frozen():
        deadline = time.monotonic() + STOPPED_S
        while not copied():
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, "the volume is written all the time", str(source))


def copy(source: Path, target: Path, progress: Progress = lambda _: None) -> None:
    """Make a file equal to another one, by writing only what differs: holes stay, also at a second copy."""
    with source.open("rb") as read, target.open("r+b" if target.exists() else "x+b") as written:
        size = os.fstat(read.fileno()).st_size
        written.truncate(size)
        parts = [*_data(read.fileno(), size), *_data(written.fileno(), size)]
        total, done, said = sum(length for _, length in parts), 0, 0
        for start, length in parts:
            wanted = os.pread(read.fileno(), length, start)
            if wanted != os.pread(written.fileno(), length, start):
                os.pwrite(written.fileno(), wanted, start)
            done += length
            if done * 100 // total > said:
                said = done * 100 // total
                progress(said)


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file has data: start and length, of `_CHUNK` at most."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # there is none after this
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        for at in range(start, end, _CHUNK):
            yield at, min(_CHUNK, end - at)

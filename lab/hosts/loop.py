"""Loop devices that detach by themselves: a volume's file as a block device, for as long as a descriptor is open."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_CONTROL = "/dev/loop-control"
_GET_FREE, _REMOVE = 0x4C82, 0x4C81
_CONFIGURE, _SET_CAPACITY = 0x4C0A, 0x4C07
_AUTOCLEAR = 4
_MAJOR = 7
# struct loop_config: descriptor, block size, loop_info64 (232 bytes, flags at 52, file name at 56), 64 reserved bytes.
_INFO_BYTES, _FLAGS_AT, _NAME_AT, _RESERVED_BYTES = 232, 52, 56, 64


@dataclass
class LoopDevice:
    """An attached loop device; closing it detaches it as soon as nothing has it mounted or open."""

    number: int
    descriptor: int

    @property
    def device(self) -> int:
        """Its device number, for mknod."""
        return os.makedev(_MAJOR, self.number)

    def grow(self) -> None:
        """Adopts the new size of its file."""
        fcntl.ioctl(self.descriptor, _SET_CAPACITY)

    def writes(self) -> int:
        """How many writes and discards it has completed."""
        fields = self._read("stat").split()
        return int(fields[4]) + int(fields[11])

    def unchanged_since(self, writes: int) -> bool:
        """Whether it completed none since `writes` was read, and has none under way."""
        # Those under way first: a write that begins later changed nothing before.
        return int(self._read("inflight").split()[1]) == 0 and self.writes() == writes

    def _read(self, name: str) -> str:
        return Path(f"/sys/block/loop{self.number}/{name}").read_text(encoding="ascii")

    def close(self) -> None:
        os.close(self.descriptor)


def attach(path: Path) -> LoopDevice:
    """Attaches a file to a free loop device; the kernel adds one if the machine has none left."""
    backing = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        while True:
            number = fcntl.ioctl(control, _GET_FREE)
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _CONFIGURE, _configuration(backing, path))
            except OSError as error:
                os.close(device)
                if error.errno == errno.EBUSY:  # another program took it since
                    continue
                raise
            return LoopDevice(number, device)
    finally:
        os.close(backing)
        os.close(control)


def _configuration(backing: int, path: Path) -> bytearray:
    info = bytearray(_INFO_BYTES)
    struct.pack_into("=I", info, _FLAGS_AT, _AUTOCLEAR)
    name = os.fsencode(path)[-63:]
    info[_NAME_AT : _NAME_AT + len(name)] = name
    return bytearray(struct.pack("=II", backing, 0)) + info + bytearray(_RESERVED_BYTES)


def numbers() -> set[int]:
    """The loop devices that the machine has, attached or not."""
    found = Path("/sys/block").glob("loop*")
    return {int(one.name.removeprefix("loop")) for one in found if one.name.removeprefix("loop").isdigit()}


def backing_files() -> dict[int, str]:
    """The file behind each attached loop device."""
    found = {}
    for number in numbers():
        with contextlib.suppress(OSError):
            text = Path(f"/sys/block/loop{number}/loop/backing_file").read_text(encoding="utf-8")
            found[number] = text.strip()
    return found


def remove(number: int) -> None:
    """Removes a device that is not attached; one that is in use stays."""
    with contextlib.suppress(OSError):
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(control, _REMOVE, number)
        finally:
            os.close(control)

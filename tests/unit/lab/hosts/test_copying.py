"""A copy is of one moment also when something writes meanwhile; how it stops that which writes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from lab.hosts import copying
from lab.hosts.copying import copy, copy_of_one_moment
from lab.hosts.loop import LoopDevice

MIB = 2**20
SIZE = 64 * MIB


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A sparse file with data in two places."""
    path = tmp_path / "vol-1"
    with path.open("xb") as file:
        file.truncate(SIZE)
        os.pwrite(file.fileno(), b"first" * MIB, 3 * MIB)
        os.pwrite(file.fileno(), b"last", SIZE - 4)
    return path


def kept_mib(path: Path) -> float:
    """What it takes on the disk."""
    return path.stat().st_blocks * 512 / MIB


def write(path: Path, data: bytes, at: int) -> None:
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), data, at)


class Device:
    """Something writes before each look but the last `quiet` ones, unless it is frozen."""

    def __init__(self, path: Path, writes: int) -> None:
        self.path, self.left, self.count = path, writes, 0
        self.events: list[str] = []

    def writes(self) -> int:
        return self.count

    def unchanged_since(self, writes: int) -> bool:
        if self.left:
            self.left -= 1
            self.count += 1
            write(self.path, b"%d" % self.count, 3 * MIB)
            write(self.path, b"%d" % self.count, 20 * MIB)
        return self.count == writes

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.events.append("stop")
        yield
        self.events.append("go on")


def copied(source: Path, target: Path, device: Device) -> list[int]:
    said: list[int] = []
    copy_of_one_moment(source, target, cast(LoopDevice, device), device.frozen, said.append)
    return said


def test_a_copy_has_the_same_bytes_and_the_same_holes(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "snap-1"
    copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert kept_mib(target) <= kept_mib(source) < 10


def test_a_second_copy_takes_over_what_differs_also_what_was_discarded(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "snap-1"
    copy(source, target)
    write(source, b"new", 40 * MIB)
    with source.open("r+b") as file:
        file.truncate(5 * MIB)
        file.truncate(SIZE)
    copy(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_a_volume_that_nothing_writes_to_is_copied_once_and_its_host_goes_on(source: Path, tmp_path: Path) -> None:
    device = Device(source, writes=0)
    said = copied(source, tmp_path / "snap-1", device)
    assert device.events == []
    assert said == sorted(said)
    assert said[-1] == 100


@pytest.mark.parametrize("writes", [1, 3])
def test_a_volume_that_is_written_is_copied_again_while_its_host_is_stopped(
    source: Path, tmp_path: Path, writes: int
) -> None:
    device = Device(source, writes)
    copied(source, tmp_path / "snap-1", device)
    assert device.events == ["stop", "go on"]
    assert device.left == 0
    assert (tmp_path / "snap-1").read_bytes() == source.read_bytes()


def test_writes_that_do_not_stop_are_an_error(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "STOPPED_S", 0.1)
    with pytest.raises(OSError, match="written all the time"):
        copied(source, tmp_path / "snap-1", Device(source, writes=10**6))

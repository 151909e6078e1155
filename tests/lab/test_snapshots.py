"""Snapshots of volumes with loop devices. No host boots: processes in a control group of their own write instead."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import process
from lab.aws.model import Volume
from lab.hosts.cgroups import CgroupTree
from lab.hosts.volumes import VolumeStore

pytestmark = pytest.mark.lab

MIB = 2**20
FAR = 200 * MIB
# Writes 1, 2, 3 ... at one place and, when it is on the disk, at another far from it.
WRITER = f"""
import os, sys
disk = os.open(sys.argv[1], os.O_RDWR)
for number in range(1, 1 << 62):
    for place in (0, {FAR}):
        os.pwrite(disk, number.to_bytes(8, "big"), place)
        os.fdatasync(disk)
    if number == 10:
        print("writes", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VolumeStore]:
    made = VolumeStore(tmp_path / "volumes", tmp_path / "loop-devices")
    yield made
    made.close()


@pytest.fixture
def cgroups(tmp_path: Path) -> Iterator[CgroupTree]:
    tree = CgroupTree(tmp_path)
    yield tree
    tree.remove()


def volume(name: str, snapshot_id: str | None = None) -> Volume:
    return Volume(id=name, size_gib=1, tags={}, attachment=None, snapshot_id=snapshot_id)


def disk_of(store: VolumeStore, one: Volume) -> str:
    return f"/dev/loop{store.device(one).number}"


@contextlib.contextmanager
def mounted(disk: str, place: Path) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    process.run(["mount", disk, place])
    try:
        yield place
    finally:
        process.run(["umount", place])


def test_a_snapshot_of_a_disk_that_is_written_is_of_one_moment(
    store: VolumeStore, cgroups: CgroupTree, tmp_path: Path
) -> None:
    one = volume("vol-1")
    disk = disk_of(store, one)
    with Path(disk).open("r+b") as file:  # takes a while to read, so that both places are not read at once
        file.write(b"x" * FAR)
    groups = cgroups.create("i-1")
    argv = cgroups.argv(groups, [sys.executable, "-c", WRITER, disk])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout
            assert writer.stdout.readline() == "writes\n"
            found = []
            for number in range(3):
                store.take(f"snap-{number}", one, lambda: cgroups.frozen("i-1"), lambda _: None)
                with (tmp_path / f"volumes/snap-{number}").open("rb") as snapshot:
                    first = int.from_bytes(snapshot.read(8), "big")
                    snapshot.seek(FAR)
                    found.append((first, int.from_bytes(snapshot.read(8), "big")))
            assert writer.poll() is None
        finally:
            writer.kill()
    for first, second in found:
        assert second in (first - 1, first), found
    assert 10 <= found[0][0] < found[1][0] < found[2][0], "it goes on after each"


def test_a_snapshot_of_a_mounted_file_system_becomes_another_volume(store: VolumeStore, tmp_path: Path) -> None:
    one, two = volume("vol-1"), volume("vol-2", "snap-1")
    process.run(["mkfs.ext4", "-q", disk_of(store, one)])
    with mounted(disk_of(store, one), tmp_path / "one") as place:
        (place / "then").write_text("kept")
        process.run(["sync", place / "then"])
        store.take("snap-1", one, contextlib.nullcontext, lambda _: None)
        (place / "then").unlink()
        (place / "later").write_text("x")
        process.run(["sync", "--file-system", place])
        store.fill([one, two])
        with mounted(disk_of(store, two), tmp_path / "two") as other:
            assert (other / "then").read_text() == "kept"
            assert not (other / "later").exists()

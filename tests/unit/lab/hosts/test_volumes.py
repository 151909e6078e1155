"""The files of volumes and snapshots, without block devices. With them: tests/lab/test_snapshots.py."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from lab.aws.model import Volume
from lab.hosts import copying
from lab.hosts.volumes import VolumeStore

GIB = 2**30
VOLUME = Volume(id="vol-1", size_gib=1, tags={}, attachment=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "volumes"


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> VolumeStore:
    return VolumeStore(folder, tmp_path / "loop-devices")


def take(store: VolumeStore, snapshot_id: str) -> None:
    store.take(snapshot_id, VOLUME, nullcontext, lambda _: None)


def begins(path: Path, data: bytes = b"") -> bytes:
    """The first bytes of a file, which `data` replaces first."""
    with path.open("r+b") as file:
        file.write(data)
        file.seek(0)
        return file.read(4)


def test_a_snapshot_keeps_what_a_volume_had_and_outlives_it(store: VolumeStore, folder: Path) -> None:
    take(store, "snap-blank")
    begins(folder / "vol-1", b"then")
    take(store, "snap-1")
    begins(folder / "vol-1", b"now!")
    store.keep_only(["snap-blank", "snap-1"])
    assert {one.name: begins(one) for one in folder.iterdir()} == {"snap-blank": bytes(4), "snap-1": b"then"}
    assert (folder / "snap-1").stat().st_size == GIB
    store.keep_only(["snap-blank"])
    assert [one.name for one in folder.iterdir()] == ["snap-blank"]
    assert not store.has("snap-1")


def test_a_volume_of_a_snapshot_begins_with_its_bytes_once(store: VolumeStore, folder: Path) -> None:
    take(store, "snap-1")
    begins(folder / "snap-1", b"then")
    made = Volume(id="vol-2", size_gib=2, tags={}, attachment=None, snapshot_id="snap-1")
    of_an_image = Volume(id="vol-3", size_gib=8, tags={}, attachment=None, snapshot_id="snap-image")
    store.fill([VOLUME, made, of_an_image])
    assert begins(folder / "vol-2", b"mine") == b"mine"
    assert begins(folder / "snap-1") == b"then"
    store.fill([made])
    assert begins(folder / "vol-2") == b"mine"
    assert not (folder / "vol-3").exists()


def test_a_snapshot_that_fails_leaves_nothing(
    store: VolumeStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, *_: object) -> None:
        target.write_bytes(b"part")
        raise OSError("no space left")

    monkeypatch.setattr(copying, "copy_of_one_moment", full)
    with pytest.raises(OSError, match="no space left"):
        take(store, "snap-1")
    assert [one.name for one in folder.iterdir()] == ["vol-1"]

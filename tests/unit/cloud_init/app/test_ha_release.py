"""A release on its way to the host: the digest decides, and nothing half unpacked is ever in place."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import program

RELEASE = program("app/files/usr/local/sbin/ha-release")


def archive(path: Path, files: dict[str, str]) -> str:
    """Write an archive; its digest."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    folder = tmp_path / "releases"
    folder.mkdir()
    return folder


def test_the_release_is_put_in_place_whole(tmp_path: Path, releases: Path) -> None:
    digest = archive(tmp_path / "a", {"app-1.0.0/package.json": "{}", "app-1.0.0/dist/main.js": "x"})
    target = RELEASE.unpack(tmp_path / "a", digest, "app-1.0.0", releases)
    assert target == releases / "app-1.0.0"
    assert (target / "dist/main.js").read_text() == "x"
    assert [p.name for p in releases.iterdir()] == ["app-1.0.0"]


def test_another_archive_of_the_same_version_takes_its_place(tmp_path: Path, releases: Path) -> None:
    for text in ("old", "new"):
        digest = archive(tmp_path / "a", {"app-1.0.0/x": text})
        RELEASE.unpack(tmp_path / "a", digest, "app-1.0.0", releases)
    assert (releases / "app-1.0.0/x").read_text() == "new"
    assert [p.name for p in releases.iterdir()] == ["app-1.0.0"]


def test_an_archive_with_another_digest_is_refused(tmp_path: Path, releases: Path) -> None:
    archive(tmp_path / "a", {"app-1.0.0/x": "x"})
    with pytest.raises(SystemExit, match="refused"):
        RELEASE.unpack(tmp_path / "a", "0" * 64, "app-1.0.0", releases)
    assert not list(releases.iterdir())


@pytest.mark.parametrize("files", [{"other/x": "x"}, {"app-1.0.0/x": "x", "etc/cron.d/y": "y"}])
def test_an_archive_of_another_shape_is_refused(tmp_path: Path, releases: Path, files: dict[str, str]) -> None:
    digest = archive(tmp_path / "a", files)
    with pytest.raises(SystemExit, match="must contain only the folder"):
        RELEASE.unpack(tmp_path / "a", digest, "app-1.0.0", releases)
    assert not list(releases.iterdir())


def test_an_archive_cannot_write_outside_of_its_folder(tmp_path: Path, releases: Path) -> None:
    digest = archive(tmp_path / "a", {"app-1.0.0/../../../evil": "x"})
    with pytest.raises(tarfile.OutsideDestinationError):
        RELEASE.unpack(tmp_path / "a", digest, "app-1.0.0", releases)
    assert not (tmp_path / "evil").exists()


def test_a_release_that_is_in_place_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RELEASE, "HOME", tmp_path)
    fetched: list[dict[str, Any]] = []
    digest = archive(tmp_path / "source", {"app-1.0.0/x": "x"})

    def fetch(what: str, deadline: float, absent: str, service: str, operation: str, **given: Any) -> None:
        fetched.append(given)
        assert (service, operation) == ("s3", "download_file")
        Path(given["Filename"]).write_bytes((tmp_path / "source").read_bytes())

    monkeypatch.setattr(RELEASE, "patiently", fetch)
    monkeypatch.setattr(RELEASE, "environment", lambda: {"HA_ARTIFACT_BUCKET": "b"})
    for _ in range(2):
        RELEASE.main("releases/a.tar.gz", digest, "app-1.0.0")
    assert [(g["Bucket"], g["Key"]) for g in fetched] == [("b", "releases/a.tar.gz")]
    assert (tmp_path / "current").resolve() == tmp_path / "releases/app-1.0.0"

"""A release on its way to the host: the digest decides, and nothing half unpacked is ever in place."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.unit.cloud_init.rendering import program
from tests.unit.release_archives import compressed_in_two_ways, file, special, tar_of, write_release

RELEASE = program("app/files/usr/local/sbin/ha-release")


class Bucket:
    """What the artifact bucket holds, by key, and each call to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.error: Exception | None = None

    def put(self, archive: bytes, digest: str) -> str:
        path = self.folder / f"releases/{digest}.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive)
        return digest

    def put_release(self, version: str) -> str:
        archive = self.folder / version
        digest = write_release(archive, {f"app-{version}/package.json": version, f"app-{version}/dist/main.js": "x"})
        return self.put(archive.read_bytes(), digest)

    def _object(self, operation: str, bucket: str, key: str) -> Path:
        self.calls.append(operation)
        assert bucket == "b"
        if self.error:
            raise self.error
        if not (self.folder / key).exists():
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, operation)
        return self.folder / key

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"ContentLength": self._object("head", Bucket, Key).stat().st_size}

    def download_file(self, *, Bucket: str, Key: str, Filename: str) -> None:
        shutil.copy(self._object("get", Bucket, Key), Filename)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(RELEASE, "HOME", tmp_path / "home")
    monkeypatch.setattr(RELEASE, "environment", lambda: {"HA_ARTIFACT_BUCKET": "b"})
    monkeypatch.setattr(RELEASE.os, "sync", lambda: None)
    return tmp_path / "home"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket(tmp_path / "bucket")
    made.folder.mkdir()
    client = lambda service, region: made  # noqa: E731
    client.cache_clear = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr("ha_host.client", client)
    return made


def unpacked(home: Path) -> set[str]:
    return {one.name for one in (home / "releases").iterdir()}


def refusal(*given: str) -> str:
    with pytest.raises(SystemExit) as refused:
        RELEASE.main(list(given))
    return str(refused.value.code)


def test_a_release_is_fetched_beside_the_current_one_and_used_later(home: Path, bucket: Bucket) -> None:
    old, new = bucket.put_release("1.0.0"), bucket.put_release("2.0.0")
    RELEASE.main(["use", old])
    RELEASE.main(["fetch", new])
    assert (home / "current").resolve() == home / "releases" / old / "app-1.0.0"
    assert unpacked(home) == {old, new}
    bucket.calls.clear()
    RELEASE.main(["use", new])
    assert (home / "current/package.json").read_text() == "2.0.0"
    RELEASE.main(["use", old])  # back
    assert (home / "current/package.json").read_text() == "1.0.0"
    assert bucket.calls == []  # an unpacked one needs no network
    assert (home / "current").readlink().is_absolute()


def test_a_release_that_is_current_already_is_not_linked_again(home: Path, bucket: Bucket) -> None:
    """The link's age is how `ha-service` knows what a service that something else started has read."""
    digest = bucket.put_release("1.0.0")
    RELEASE.main(["use", digest])
    before = (home / "current").lstat()
    RELEASE.main(["use", digest])
    after = (home / "current").lstat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_one_tar_is_one_release_however_it_is_compressed(home: Path, bucket: Bucket) -> None:
    tar = tar_of([file("app-1.0.0/x", "x" * 5000)])
    digest = hashlib.sha256(tar).hexdigest()
    for archive in compressed_in_two_ways(tar):
        shutil.rmtree(home, ignore_errors=True)
        bucket.put(archive, digest)
        RELEASE.main(["use", digest])
        assert unpacked(home) == {digest}
        assert (home / "current/x").read_text() == "x" * 5000


def test_everybody_may_read_a_release_and_only_root_may_write_it(home: Path, bucket: Bucket) -> None:
    digest = bucket.put_release("1.0.0")
    before = os.umask(0o022)
    try:
        RELEASE.main(["use", digest])
    finally:
        os.umask(before)
    for path in [home / "releases" / digest, *(home / "releases" / digest).rglob("*")]:
        assert path.stat().st_mode & 0o777 in (0o755, 0o644), path


def test_three_releases_are_kept_those_that_were_wanted_last(home: Path, bucket: Bucket) -> None:
    first, second, third, fourth = (bucket.put_release(f"{n}.0.0") for n in range(1, 5))
    for moment, digest in enumerate((first, second, third)):
        RELEASE.main(["fetch", digest])
        os.utime(home / "releases" / digest, (moment, moment))
    RELEASE.main(["use", first])  # fetched first, wanted last
    RELEASE.main(["use", fourth])
    assert unpacked(home) == {first, third, fourth}


def test_the_release_that_ran_until_now_is_kept_however_long_ago_it_was_made_current(
    home: Path, bucket: Bucket
) -> None:
    first, second, third, fourth = (bucket.put_release(f"{n}.0.0") for n in range(1, 5))
    RELEASE.main(["use", first])
    os.utime(home / "releases" / first, (0, 0))
    for digest in (second, third):
        RELEASE.main(["fetch", digest])
        os.utime(home / "releases" / digest, (1, 1) if digest == second else (2, 2))
    RELEASE.main(["use", fourth])
    assert unpacked(home) == {first, third, fourth}


def test_a_release_that_is_fetched_again_is_wanted_again(home: Path, bucket: Bucket) -> None:
    first, second, third, fourth = (bucket.put_release(f"{n}.0.0") for n in range(1, 5))
    for moment, digest in enumerate((first, second, third)):
        RELEASE.main(["fetch", digest])
        os.utime(home / "releases" / digest, (moment, moment))
    RELEASE.main(["fetch", first])
    RELEASE.main(["use", fourth])
    assert unpacked(home) == {first, third, fourth}


def test_fetching_deletes_nothing(home: Path, bucket: Bucket) -> None:
    digests = {bucket.put_release(f"{n}.0.0") for n in range(5)}
    for digest in digests:
        RELEASE.main(["fetch", digest])
    assert unpacked(home) == digests
    assert not (home / "current").exists()


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (gzip.compress(tar_of([file("app-1.0.0/other")])), "the archive's digest is "),
        (gzip.compress(tar_of([file("app-1.0.0/x")]))[:-20], "end-of-stream marker"),
        (b"no archive", "Not a gzipped file"),
        (b"", "the archive's digest is "),
    ],
    ids=["another release", "cut off", "text", "empty"],
)
def test_what_is_not_the_release_is_never_applied(home: Path, bucket: Bucket, archive: bytes, why: str) -> None:
    old = bucket.put_release("1.0.0")
    RELEASE.main(["use", old])
    digest = bucket.put(archive, "ab" * 32)
    for action in ("fetch", "use"):
        message = refusal(action, digest)
        assert message.startswith(f"release {digest}: not installed: ")
        assert why in message
    assert unpacked(home) == {old}
    assert (home / "current").resolve() == home / "releases" / old / "app-1.0.0"


def test_nothing_is_unpacked_of_an_archive_with_another_digest(
    home: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = bucket.put(gzip.compress(tar_of([file("app-1.0.0/x")])), "ab" * 32)
    monkeypatch.setattr(RELEASE, "unpack", lambda *given: pytest.fail("unpacked"))
    assert "the archive's digest is " in refusal("fetch", digest)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([], "must hold one folder, not nothing"),
        ([file("package.json")], "must hold one folder, not package.json"),
        ([file("app-1.0.0/x"), file("etc/cron.d/x")], "must hold one folder, not app-1.0.0, etc"),
        ([file("app-1.0.0/../../../evil")], "outside the destination"),
        ([special("app-1.0.0/l", tarfile.SYMTYPE, "/etc/passwd")], "absolute path"),
        ([special("app-1.0.0/l", tarfile.SYMTYPE, "../../../../etc")], "outside the destination"),
        ([special("app-1.0.0/d", tarfile.CHRTYPE)], "special file"),
        ([special("app-1.0.0", tarfile.SYMTYPE, "app-1.0.0/x")], "must hold one folder"),
    ],
)
def test_an_archive_of_another_shape_is_refused_and_leaves_nothing(
    home: Path, bucket: Bucket, tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], why: str
) -> None:
    tar = tar_of(members)
    digest = bucket.put(gzip.compress(tar), hashlib.sha256(tar).hexdigest())
    assert why in refusal("use", digest)
    assert unpacked(home) == set()
    assert not (home / "current").is_symlink()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("room_mib", [0, 5])
def test_a_release_larger_than_the_disk_is_refused_before_it_is_unpacked(
    home: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, room_mib: int
) -> None:
    tar = tar_of([file("app-1.0.0/x", "x" * (20 << 20))])  # 20 KB compressed
    digest = bucket.put(gzip.compress(tar), hashlib.sha256(tar).hexdigest())
    free = RELEASE.SPARE_BYTES + (room_mib << 20)
    monkeypatch.setattr(RELEASE.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    monkeypatch.setattr(RELEASE, "unpack", lambda *given: pytest.fail("unpacked"))
    assert f"MiB or more, but the disk has room for {room_mib} MiB" in refusal("fetch", digest)
    assert bucket.calls == (["head", "get"] if room_mib else ["head"])  # one that is too large is not downloaded
    assert unpacked(home) == set()


def test_a_disk_that_fills_while_unpacking_leaves_nothing(
    home: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tar: tarfile.TarFile, folder: Path, filter: str) -> None:
        (folder / "app-1.0.0").mkdir()
        raise OSError(28, "No space left on device", "app-1.0.0/x")

    digest = bucket.put_release("1.0.0")
    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    assert "No space left on device" in refusal("use", digest)
    assert unpacked(home) == set()


def test_a_release_that_is_not_in_the_bucket_is_refused_when_the_wait_ends(home: Path, bucket: Bucket) -> None:
    digest = "ab" * 32
    message = refusal("fetch", digest, "--wait=0")
    assert f"s3://b/releases/{digest}.tar.gz is not in the bucket, or this host's role may not read it" in message
    assert bucket.calls == ["head"]
    assert unpacked(home) == set()


def test_a_role_that_gets_its_policy_late_is_waited_for(
    home: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, passed = bucket.put_release("1.0.0"), [0.0]
    bucket.error = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    def sleep(seconds: float) -> None:
        passed[0] += seconds
        if passed[0] > 60:
            bucket.error = None

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    RELEASE.main(["use", digest])
    assert (home / "current").exists()
    bucket.error = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")
    monkeypatch.setattr(time, "sleep", lambda seconds: passed.__setitem__(0, passed[0] + seconds))
    start = passed[0]
    assert "is not in the bucket" in refusal("fetch", "ab" * 32)
    assert 280 < passed[0] - start <= 300


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject"), "does not exist"),
        (EndpointConnectionError(endpoint_url="https://s3"), "was not downloaded within 0 s: EndpointConnectionError"),
    ],
)
def test_other_failures_of_the_download_are_one_message(home: Path, bucket: Bucket, error: Exception, why: str) -> None:
    bucket.error = error
    assert why in refusal("fetch", "ab" * 32, "--wait=0")


def test_what_an_interrupted_run_left_is_repaired_by_the_next(home: Path, bucket: Bucket) -> None:
    digest, old = bucket.put_release("2.0.0"), bucket.put_release("1.0.0")
    RELEASE.main(["use", old])
    releases = home / "releases"
    (releases / ".new-x1" / digest / "app-2.0.0").mkdir(parents=True)  # killed while it unpacked
    (releases / ".new-x1/archive").write_text("half")
    (releases / ".old-cd/app-0.1.0").mkdir(parents=True)  # killed while it deleted
    (home / ".current").symlink_to("/nowhere")  # killed before it switched
    (releases / digest).mkdir()  # unpacked by whoever, and empty
    RELEASE.main(["use", digest])
    assert (home / "current/package.json").read_text() == "2.0.0"
    assert unpacked(home) == {digest, old}
    assert not (home / ".current").is_symlink()


def test_a_run_that_dies_while_it_unpacks_has_nothing_in_place(
    home: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = bucket.put_release("1.0.0")
    seen: list[bool] = []

    def sync() -> None:
        (new,) = (home / "releases").glob(f".new-*/{digest}/app-1.0.0")
        seen.append((home / "releases" / digest).exists() or not (new / "package.json").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(RELEASE.os, "sync", sync)
    with pytest.raises(KeyboardInterrupt):
        RELEASE.main(["use", digest])
    assert seen == [False]
    assert unpacked(home) == set()


@pytest.mark.parametrize("digest", ["../../../etc", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_only_a_digest_becomes_a_path(home: Path, digest: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal("use", digest) == "2"
    assert "is no SHA-256 of 64 hexadecimal digits" in capsys.readouterr().err
    assert not home.exists()

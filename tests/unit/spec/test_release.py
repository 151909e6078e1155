"""Which release a stack runs: an archive that is checked before anything is created, or a digest."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from pathlib import Path

import pytest

from spec import release as module
from spec.errors import SettingsError
from spec.release import Release, find_release
from spec.settings import Settings
from tests.unit.release_archives import compressed_in_two_ways, file, special, tar_of

NAME = "build/app-1.0.0.tar.gz"
TAR = tar_of([file("app-1.0.0/package.json", "{}" * 5000), special("app-1.0.0/bin", tarfile.SYMTYPE, "package.json")])


def settings(release: str = NAME) -> Settings:
    return Settings.model_validate(
        {
            "region": "us-east-1",
            "network": {"zones": ["us-east-1a", "us-east-1b"]},
            "application": {"release": release},
        }
    )


def found(project: Path, archive: bytes) -> Release:
    (project / NAME).parent.mkdir(exist_ok=True)
    (project / NAME).write_bytes(archive)
    return find_release(settings(), project, source="Pulumi.dev.yaml")


def refusal(project: Path, archive: bytes) -> str:
    with pytest.raises(SettingsError) as refused:
        found(project, archive)
    (problem,) = refused.value.problems
    assert problem.path == "application.release"
    assert NAME in problem.given
    assert problem.allowed == "a gzipped tar archive with one top folder, app-1.0.0, of 1024 MiB uncompressed at most"
    return problem.given


def test_the_same_tar_is_the_same_release_however_it_is_compressed(tmp_path: Path) -> None:
    one, other = compressed_in_two_ways(TAR)
    assert one != other
    first, second = found(tmp_path, one), found(tmp_path, other)
    digest = hashlib.sha256(TAR).hexdigest()
    assert (first.digest, first.key) == (second.digest, second.key) == (digest, f"releases/{digest}.tar.gz")
    assert first.path == tmp_path / NAME


def test_what_follows_the_end_of_the_tar_is_part_of_the_digest(tmp_path: Path) -> None:
    padded = TAR + bytes(3 << 20)
    assert found(tmp_path, gzip.compress(padded)).digest == hashlib.sha256(padded).hexdigest()


def test_a_digest_names_a_release_that_is_in_no_file(tmp_path: Path) -> None:
    assert find_release(settings("ab" * 32), tmp_path, source="Pulumi.dev.yaml") == Release("ab" * 32, None)


def test_an_archive_with_links_inside_of_its_folder_is_a_release(tmp_path: Path) -> None:
    members = [
        file("app-1.0.0/lib/a.js"),
        special("app-1.0.0/bin/a", tarfile.SYMTYPE, "../lib/a.js"),
        special("app-1.0.0/all", tarfile.SYMTYPE, "."),
        special("app-1.0.0/b.js", tarfile.LNKTYPE, "app-1.0.0/lib/a.js"),
    ]
    assert found(tmp_path, gzip.compress(tar_of(members))).path


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ([], "top folders are none"),
        ([file("other/x")], "top folders are other"),
        ([file("app-1.0.0/x"), file("etc/x")], "top folders are app-1.0.0, etc"),
        ([file("/app-1.0.0/x")], "/app-1.0.0/x leads out"),
        ([file("app-1.0.0/../app-1.0.0/x")], "leads out of its folder"),
        ([special("app-1.0.0/d", tarfile.CHRTYPE)], "app-1.0.0/d is no file, folder or link"),
        ([special("app-1.0.0/d", tarfile.FIFOTYPE)], "app-1.0.0/d is no file, folder or link"),
        ([special("app-1.0.0/l", tarfile.SYMTYPE, "/etc/passwd")], "to /etc/passwd"),
        ([special("app-1.0.0/l", tarfile.SYMTYPE, "../other")], "to ../other"),
        ([special("app-1.0.0/l", tarfile.LNKTYPE, "other/x")], "to other/x"),
        # Each of these two is inside when its path is read as text, and outside when it is followed.
        ([special("app-1.0.0/l", tarfile.SYMTYPE, "a/b/c/../..")], "to a/b/c/../.."),
        (
            [
                special("app-1.0.0/a/b/up", tarfile.SYMTYPE, "../.."),
                special("app-1.0.0/a/b/up/l", tarfile.SYMTYPE, "../../x"),
            ],
            "app-1.0.0/a/b/up/l is reached through a link",
        ),
    ],
)
def test_an_archive_that_is_no_release_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], fault: str
) -> None:
    assert fault in refusal(tmp_path, gzip.compress(tar_of(members)))


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"no archive",
        gzip.compress(b"no tar" * 1000),
        gzip.compress(TAR)[:-200],
        gzip.compress(TAR)[:-8] + bytes(8),
        gzip.compress(TAR + bytes(1 << 20))[:-8],
        gzip.compress(TAR + bytes(1 << 20), 0)[:500_000] + b"\xff" * 500_000,
        gzip.compress(TAR[:2000]),
        TAR,
    ],
    ids=[
        "empty",
        "text",
        "text in gzip",
        "cut off",
        "wrong checksum",
        "no checksum",
        "other bytes within",
        "cut off before",
        "not compressed",
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, archive: bytes) -> None:
    assert "it cannot be read" in refusal(tmp_path, archive)


def test_an_archive_that_becomes_too_large_is_refused_before_it_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    class Endless:
        def read(self, size: int) -> bytes:
            nonlocal read
            read += size
            return bytes(size)

    monkeypatch.setattr(module, "MOST_MIB", 2)
    hashed = module._Hashed(Endless())  # type: ignore[arg-type]
    with pytest.raises(module._Fault, match="larger than 2 MiB uncompressed"):
        hashed.digest()
    assert read == 3 << 20
    monkeypatch.undo()
    monkeypatch.setattr(module, "MOST_MIB", 0)
    with pytest.raises(SettingsError, match="is larger than 0 MiB uncompressed"):
        found(tmp_path, gzip.compress(TAR))


def test_a_missing_file_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no release is built yet: run `make setup`"):
        find_release(settings(), tmp_path, source="Pulumi.dev.yaml")
    built = tmp_path / "app/build/app-2.0.0.tar.gz"
    built.parent.mkdir(parents=True)
    built.touch()
    with pytest.raises(SettingsError, match=r"the digest of an uploaded release, or .* such as app/build/app-2\.0\.0"):
        find_release(settings(), tmp_path, source="Pulumi.dev.yaml")


def test_a_link_out_of_the_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.tar.gz").write_bytes(gzip.compress(TAR))
    project = tmp_path / "project"
    (project / "build").mkdir(parents=True)
    (project / NAME).symlink_to(tmp_path / "elsewhere.tar.gz")
    with pytest.raises(SettingsError, match="not a link out of it"):
        find_release(settings(), project, source="Pulumi.dev.yaml")

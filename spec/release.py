"""The application's release: an archive in this checkout, or the digest of one that was uploaded before.

A release is named by the SHA-256 of its uncompressed tar: other versions of zlib compress the same tar to other bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import os.path
import tarfile
import zlib
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path, PurePosixPath

from spec.errors import Problem, SettingsError
from spec.settings import Settings

MOST_MIB = 1024
"""The largest release, uncompressed: hosts keep three."""
_SUFFIX = ".tar.gz"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Release:
    """A release by the digest of its uncompressed tar. `path`: its archive; None for one that was uploaded before."""

    digest: str
    path: Path | None = None

    @property
    def key(self) -> str:
        """Its key in the artifact bucket."""
        return release_key(self.digest)


def release_key(digest: str) -> str:
    """Key of a release in the artifact bucket."""
    return f"releases/{digest}{_SUFFIX}"


def find_release(settings: Settings, project_dir: Path, *, source: str) -> Release:
    """The release that the settings name. :raises SettingsError: when it does not exist or is no release."""
    given = settings.application.release
    if not given.endswith(_SUFFIX):
        return Release(given)
    path = (project_dir / given).resolve()
    if path.is_file() and not path.is_relative_to(project_dir.resolve()):
        raise _refused(source, f"{given}, which leads to {path}", "a file in this checkout, not a link out of it")
    if not path.is_file():
        built = sorted(str(p.relative_to(project_dir)) for p in (project_dir / "app" / "build").glob(f"*{_SUFFIX}"))
        some = f"such as {', '.join(built)}" if built else "and no release is built yet: run `make setup`"
        allowed = f"the digest of an uploaded release, or a file in this checkout, {some}"
        raise _refused(source, f"{given} (no such file)", allowed)
    top = path.name.removesuffix(_SUFFIX)
    try:
        return Release(_checked_digest(path, top), path)
    except _Fault as fault:
        allowed = f"a gzipped tar archive with one top folder, {top}, of {MOST_MIB} MiB uncompressed at most"
        raise _refused(source, f"{given} ({fault})", allowed) from None


def _refused(source: str, given: str, allowed: str) -> SettingsError:
    return SettingsError(source, [Problem(path="application.release", given=given, allowed=allowed)])


class _Fault(Exception):
    """What is wrong with an archive."""


class _Hashed:
    """A stream that is hashed, and counted, while it is read."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._bytes = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._bytes += len(data)
        if self._bytes > MOST_MIB << 20:
            raise _Fault(f"it is larger than {MOST_MIB} MiB uncompressed")
        self._sha256.update(data)
        return data

    def digest(self) -> str:
        """The digest of the whole stream: a tar may end before its stream does."""
        while self.read(_CHUNK):
            pass
        return self._sha256.hexdigest()


def _checked_digest(path: Path, top: str) -> str:
    """The digest of the uncompressed tar. :raises _Fault: when the archive is no release."""
    try:
        with gzip.open(path) as unpacked:
            stream = _Hashed(unpacked)
            with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
                _check_members(archive, top)
            return stream.digest()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _Fault(f"it cannot be read: {error}") from None


def _check_members(archive: tarfile.TarFile, top: str) -> None:
    """:raises _Fault: for members that tar's data filter refuses, or that are or lead outside of the top folder."""
    links: set[PurePosixPath] = set()
    tops: set[str] = set()
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise _Fault(f"{member.name} leads out of its folder")
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise _Fault(f"{member.name} is no file, folder or link")
        if links.intersection((name, *name.parents)):
            raise _Fault(f"{member.name} is reached through a link")
        if member.issym() or member.islnk():
            links.add(name)
            if not _stays_inside(member, name, top):
                raise _Fault(f"the link {member.name} leads out of the folder, to {member.linkname}")
        tops.add(name.parts[0] if name.parts else ".")
    if tops != {top}:
        raise _Fault(f"its top folders are {', '.join(sorted(tops)) or 'none'}")


def _stays_inside(member: tarfile.TarInfo, name: PurePosixPath, top: str) -> bool:
    """Whether a link leads into the top folder. `..` after a name may lead anywhere: the name may be a link."""
    target = PurePosixPath(member.linkname)
    if ".." in dropwhile("..".__eq__, target.parts):
        return False
    start = name.parent if member.issym() else PurePosixPath()
    return PurePosixPath(os.path.normpath(start / target)).parts[:1] == (top,)

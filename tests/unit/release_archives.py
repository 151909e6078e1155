"""Release archives for tests, with each part that compression may vary."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def file(name: str, text: str = "x") -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    return entry, text.encode()


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A link, a device or another member without content."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry, b""


def tar_of(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for entry, content in members:
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def write_release(path: Path, files: Mapping[str, str]) -> str:
    """Write an archive; the release's digest."""
    tar = tar_of(file(*one) for one in files.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar))
    return hashlib.sha256(tar).hexdigest()


def compressed_in_two_ways(tar: bytes) -> tuple[bytes, bytes]:
    """One tar as two builds may compress it: other levels, dates and systems in the header."""
    first, second = gzip.compress(tar, 9, mtime=0), bytearray(gzip.compress(tar, 1, mtime=1))
    second[9] = 3 if first[9] != 3 else 255
    return first, bytes(second)

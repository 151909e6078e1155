"""The bundle of a tier: the files of its hosts in one archive, the same bytes for the same files."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from components.host_files import BASE, CLOUD_INIT_DIR, Context, HostFile, host_files
from spec.errors import EXIT_USAGE, HaError
from spec.pointer import bundle_key
from spec.project import REPOSITORY
from spec.tiers import Tier

BUILD_DIR = REPOSITORY / "build" / "bundles"
"""The engine uploads a bundle from here. Its files are named by their content, and git ignores them."""
KEPT_S = 86_400
"""Another engine may still read a younger one."""
MOST_BYTES = 2**26
"""The bootstrap reads so many bytes; hosts would call a longer one damaged."""
COMMON = "common"
"""Folder in a bundle with the files that all hosts of the tier share."""
HOSTS = "hosts"
"""Folder in a bundle with a folder for each host: the files that differ between them."""


@dataclass(frozen=True)
class Bundle:
    """A tier's bundle. The archive is not compressed, so that its digest does not depend on a compressor's version."""

    tier: Tier
    archive: bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the archive."""
        return hashlib.sha256(self.archive).hexdigest()

    @property
    def key(self) -> str:
        return bundle_key(self.tier, self.digest)

    def write(self) -> Path:
        """The archive as a file for the engine to upload."""
        path = BUILD_DIR / f"{self.tier}-{self.digest}.tar"
        if not path.is_file() or path.stat().st_size != len(self.archive):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_bytes(self.archive)
            new.replace(path)
        for other in BUILD_DIR.glob(f"{self.tier}-*"):
            if other != path and time.time() - other.stat().st_mtime > KEPT_S:
                other.unlink(missing_ok=True)
        return path


def bundles(contexts: Iterable[Context]) -> dict[Tier, Bundle]:
    """The bundle of every tier of an estate.

    :raises HaError: (exit 2) when a template cannot be rendered, or a bundle is larger than hosts take.
    """
    files: dict[Tier, dict[str, list[HostFile]]] = {}
    for context in contexts:
        files.setdefault(context.host.tier, {})[context.host.name] = host_files(context)
    made = {tier: Bundle(tier, _archive(by_host)) for tier, by_host in files.items()}
    for one in made.values():
        if len(one.archive) > MOST_BYTES:
            raise HaError(
                f"the bundle of {one.tier} is {len(one.archive)} bytes: {MOST_BYTES} at most",
                where=f"{CLOUD_INIT_DIR.name}/{one.tier}, {CLOUD_INIT_DIR.name}/{BASE}",
                fix="large files belong in the host's image or in the release",
                exit_code=EXIT_USAGE,
            )
    return made


def _archive(by_host: Mapping[str, Iterable[HostFile]]) -> bytes:
    everywhere = set.intersection(*(set(files) for files in by_host.values()))
    members = {f"{COMMON}{file.path}": file for file in everywhere}
    for host, files in by_host.items():
        members |= {f"{HOSTS}/{host}{file.path}": file for file in files if file not in everywhere}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, file in sorted(members.items()):
            content = file.content.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if file.executable else 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()

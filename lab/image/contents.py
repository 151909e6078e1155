"""What goes into a host image, and the key that says whether a built image has these contents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spec.project import REPOSITORY

HERE = Path(__file__).parent
RELEASE = "trixie"
FORMAT = 2
"""To be increased when `build.py` makes another image of the same contents."""


class ImageKind(StrEnum):
    """Which packages the image holds."""

    BARE = "bare"
    """Debian's own: hosts install everything else themselves, as on AWS."""
    FULL = "full"
    """All packages of all tiers: hosts boot fast."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that an image is made from."""

    kind: ImageKind
    packages: tuple[str, ...]
    disabled_services: tuple[str, ...]
    """Units of the packages that the hosts' set-up starts itself, when their volume and configuration are there."""
    masked_units: tuple[str, ...]
    early_files: tuple[tuple[str, Path], ...]
    """Path on the host and source, put in place before packages are installed: packages' scripts read them."""
    files: tuple[tuple[str, Path], ...]

    @property
    def key(self) -> str:
        """Identifies the image: the same contents have the same key."""
        digest = hashlib.sha256(f"{FORMAT} {RELEASE} {self.kind}".encode())
        for words in (self.packages, self.disabled_services, self.masked_units):
            digest.update("\n".join(words).encode() + b"\0")
        for path, source in (*self.early_files, *self.files):
            digest.update(f"{path} {source.stat().st_mode & 0o111:o}".encode() + source.read_bytes() + b"\0")
        return digest.hexdigest()[:16]


# Configuration that Debian's packages read while they are installed, so it is copied before them.
_READ_AT_INSTALL = "etc/postgresql-common"


def contents(kind: ImageKind, cloud_init: Path = REPOSITORY / "cloud-init") -> Contents:
    """The contents of an image, read from `cloud-init/*/packages` and `services` for the full one."""
    packages = read_words(HERE / "bare-packages")
    services: tuple[str, ...] = ()
    early: tuple[tuple[str, Path], ...] = ()
    if kind is ImageKind.FULL:
        packages += _of_all_tiers(cloud_init, "packages")
        services = _of_all_tiers(cloud_init, "services")
        early = tuple(
            (str(source.relative_to(tier / "files")), source)
            for tier in sorted(cloud_init.glob("*/"))
            for source in sorted((tier / "files" / _READ_AT_INSTALL).rglob("*"))
            if source.is_file()
        )
    return Contents(
        kind=kind,
        packages=tuple(sorted(set(packages))),
        disabled_services=tuple(sorted(set(services))),
        masked_units=read_words(HERE / "quiet-units"),
        early_files=early,
        files=tuple(
            (str(source.relative_to(HERE / "files")), source)
            for source in sorted((HERE / "files").rglob("*"))
            if source.is_file() and "__pycache__" not in source.parts
        ),
    )


def _of_all_tiers(cloud_init: Path, name: str) -> tuple[str, ...]:
    return tuple(word for path in sorted(cloud_init.rglob(name)) for word in read_words(path))


def read_words(path: Path) -> tuple[str, ...]:
    """One word a line; `#` begins a comment."""
    lines = (line.split("#", 1)[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line)

"""The application's release: an archive in this checkout that must exist before anything is created."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from spec.errors import Problem, SettingsError
from spec.settings import Settings


@dataclass(frozen=True)
class Release:
    """A release archive `<name>-<version>.tar.gz`; its top folder is `<name>-<version>`."""

    path: Path
    sha256: str

    @property
    def directory(self) -> str:
        return self.path.name.removesuffix(".tar.gz")

    @property
    def key(self) -> str:
        """Its key in the artifact bucket. The digest is part of it: a rebuilt archive is another object."""
        return f"releases/{self.directory}-{self.sha256[:12]}.tar.gz"


def find_release(settings: Settings, project_dir: Path, *, source: str) -> Release:
    """The release that the settings name. :raises SettingsError: when it does not exist or is no release."""
    path = (project_dir / settings.application.release).resolve()
    if path.is_file() and not path.is_relative_to(project_dir.resolve()):
        given = f"{settings.application.release}, which leads to {path}"
        raise SettingsError(
            source,
            [Problem(path="application.release", given=given, allowed="a file in this checkout, not a link out of it")],
        )
    if not path.is_file():
        built = sorted(str(p.relative_to(project_dir)) for p in (project_dir / "app" / "build").glob("*.tar.gz"))
        allowed = (
            f"a file in this checkout, such as {', '.join(built)}"
            if built
            else "a file in this checkout; no release is built yet: run `make setup`"
        )
        raise SettingsError(
            source,
            [
                Problem(
                    path="application.release",
                    given=f"{settings.application.release} (no such file)",
                    allowed=allowed,
                )
            ],
        )
    release = Release(path, hashlib.sha256(path.read_bytes()).hexdigest())
    if fault := _fault(path, release.directory):
        allowed = f"a gzipped tar archive with one top folder, {release.directory}"
        given = f"{settings.application.release} ({fault})"
        raise SettingsError(source, [Problem(path="application.release", given=given, allowed=allowed)])
    return release


def _fault(path: Path, directory: str) -> str:
    """What is wrong with an archive; empty when it is a release."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            top = {member.name.split("/")[0] for member in archive}
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        return f"it cannot be read: {error}"
    return "" if top == {directory} else f"its top folders are {', '.join(sorted(top)) or 'none'}"

"""The application's release: an archive of this checkout that must be there before anything is created."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from components.errors import Problem, SettingsError
from components.settings import Settings


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
        """Its place in the artifact bucket. The digest is part of it: a rebuilt archive is another object."""
        return f"releases/{self.directory}-{self.sha256[:12]}.tar.gz"


def find_release(settings: Settings, project_dir: Path, *, source: str) -> Release:
    """The release that the settings name. :raises SettingsError: when the file is not there."""
    path = project_dir / settings.application.release
    if not path.is_file():
        built = sorted(str(p.relative_to(project_dir)) for p in (project_dir / "app" / "build").glob("*.tar.gz"))
        allowed = (
            f"a file of this checkout; there are: {', '.join(built)}"
            if built
            else "no release is built yet: run `make setup`"
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
    return Release(path, hashlib.sha256(path.read_bytes()).hexdigest())

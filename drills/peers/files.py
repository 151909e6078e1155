"""The files of a contender's hosts. Pure.

They are rendered as those of a bundle are. Files in the contender's folder replace those of the tier's folder in
`cloud-init/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.host_files import Context, HostFile, host_files
from drills.peers.contenders import CONTENDERS, Contender, PatroniSettings
from spec.tiers import Tier

BOTH = "both"
"""A folder for database hosts and monitor."""
TIERS = (Tier.DB, Tier.MONITOR)
"""The tiers that run parts of the database's software."""
Files = Mapping[str, Mapping[str, HostFile]]
"""By host name, then by path."""


@dataclass(frozen=True, kw_only=True)
class PeerContext(Context):
    """A host's context, with a contender's folder after those of the host's tier."""

    overlay: Path | None
    patroni: PatroniSettings | None

    @property
    def folders(self) -> list[Path]:
        if self.overlay is None:
            return super().folders
        return [*super().folders, self.overlay / BOTH, self.overlay / self.host.tier.value]

    def variables(self) -> dict[str, Any]:
        return super().variables() | {"patroni": self.patroni}


def files_of(contender: Contender, stack: Mapping[str, Context]) -> Files:
    """The files of all hosts of `TIERS`. `stack`: the context of each host, by its name."""
    found: dict[str, dict[str, HostFile]] = {}
    for given in (one for one in stack.values() if one.host.tier in TIERS):
        own = contender.settings(given.settings)
        context = PeerContext(
            scope=given.scope,
            host=given.host,
            hosts=given.hosts,
            settings=own,
            overlay=contender.overlay,
            patroni=contender.patroni,
        )
        found[given.host.name] = {file.path: file for file in host_files(context)}
    return found


def all_files(stack: Mapping[str, Context]) -> Mapping[str, Files]:
    """The files of each contender, by its name."""
    return {one.name: files_of(one, stack) for one in CONTENDERS.values()}


def differing(now: Files, wanted: Files) -> dict[str, tuple[list[str], list[HostFile]]]:
    """For each host that changes: the paths to remove, and the files to write."""
    found = {}
    for host, files in wanted.items():
        gone = [path for path in now[host] if path not in files]
        new = [file for path, file in files.items() if now[host].get(path) != file]
        if gone or new:
            found[host] = (gone, new)
    return found

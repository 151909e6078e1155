"""What a contender's hosts have in place of the files of ours. Pure.

A contender is the files of its hosts, rendered as user data's are: its folder lies over the tier's in `cloud-init/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.user_data import Context, HostFile, host_files
from drills.peers.contenders import CONTENDERS, Contender, PatroniSettings
from spec.tiers import Tier

BOTH = "both"
"""The folder for database hosts and monitor alike."""
TIERS = (Tier.DB, Tier.MONITOR)
"""Whose hosts know of the database's software."""
Files = Mapping[str, Mapping[str, HostFile]]
"""By host, then by path."""


@dataclass(frozen=True, kw_only=True)
class PeerContext(Context):
    """A host's context with a contender's folder over those of the host's tier."""

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
    """Every file of the hosts that know of the database's software. `stack`: the context of each host, by name."""
    found: dict[str, dict[str, HostFile]] = {}
    for given in (one for one in stack.values() if one.host.tier in TIERS):
        own = contender.settings(given.settings)
        context = PeerContext(
            scope=given.scope,
            host=given.host,
            hosts=given.hosts,
            settings=own,
            release=given.release,
            overlay=contender.overlay,
            patroni=contender.patroni,
        )
        found[given.host.name] = {file.path: file for file in host_files(context)}
    return found


def all_files(stack: Mapping[str, Context]) -> Mapping[str, Files]:
    """The files of every contender, by its name."""
    return {one.name: files_of(one, stack) for one in CONTENDERS.values()}


def differing(now: Files, wanted: Files) -> dict[str, tuple[list[str], list[HostFile]]]:
    """What to remove from each host, and what to write to it; hosts with neither are left out."""
    found = {}
    for host, files in wanted.items():
        gone = [path for path in now[host] if path not in files]
        new = [file for path, file in files.items() if now[host].get(path) != file]
        if gone or new:
            found[host] = (gone, new)
    return found

"""What a contender's hosts have in place of the files of ours. Pure.

A contender is the files of its hosts, rendered as user data's are: its folder lies over the tier's in `cloud-init/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.errors import HaError
from components.tiers import Tier
from components.user_data import Context, HostFile, host_files
from drills.peers.contenders import CONTENDERS, Contender, PatroniSettings

BOTH = "both"
"""The folder for database hosts and monitor alike."""
ROUTE = "/etc/haproxy/haproxy.cfg"
REST_PORT = 8008
TIERS = (Tier.DB, Tier.MONITOR, Tier.APP)
"""Whose hosts know of the database's software."""
_ROUTE_CHANGES = (
    (r"(?m)^ *option tcp-check\n", "    option httpchk OPTIONS /primary\n    http-check expect status 200\n"),
    (r"(?m)^ *tcp-check .*\n", ""),
    (r"(?m)^ *default-server check .*$", f"    default-server check port {REST_PORT}"),
    (r"(?m)^( *server \S+ \S+).*$", r"\1"),
)
Files = Mapping[str, Mapping[str, HostFile]]
"""By host, then by path."""


@dataclass(frozen=True, kw_only=True)
class PeerContext(Context):
    """A host's context with a contender's folder over those of the host's tier."""

    overlay: Path | None
    patroni: PatroniSettings | None

    @property
    def folders(self) -> list[Path]:
        if self.overlay is None or self.host.tier is Tier.APP:
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
        files = {file.path: file for file in host_files(context)}
        if contender.patroni is not None and ROUTE in files:
            files[ROUTE] = replace(files[ROUTE], content=asking_patroni(files[ROUTE].content))
        found[given.host.name] = files
    return found


def all_files(stack: Mapping[str, Context]) -> Mapping[str, Files]:
    """The files of every contender, by its name."""
    return {one.name: files_of(one, stack) for one in CONTENDERS.values()}


def asking_patroni(config: str) -> str:
    """The application hosts' route with Patroni's own health check in place of ours; all else stays as it is.

    :raises HaError: when the route is not written as expected.
    """
    head, section, rest = config.partition("listen database\n")
    route = re.split(r"(?m)^(?=[^\s#])", rest, maxsplit=1)[0]
    tail = rest.removeprefix(route)
    for pattern, new in _ROUTE_CHANGES:
        route, count = re.subn(pattern, new, route)
        if not section or not count:
            raise HaError(f"the database route has no {pattern!r} that could be changed", where=ROUTE)
    return head + section + route + tail


def differing(now: Files, wanted: Files) -> dict[str, tuple[list[str], list[HostFile]]]:
    """What to remove from each host, and what to write to it; hosts with neither are left out."""
    found = {}
    for host, files in wanted.items():
        gone = [path for path in now[host] if path not in files]
        new = [file for path, file in files.items() if now[host].get(path) != file]
        if gone or new:
            found[host] = (gone, new)
    return found

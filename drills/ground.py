"""Where a drill takes place: what it can do to hosts and network, and from where its visitors come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ops.estate import Estate
from spec.settings import Settings


@dataclass(frozen=True)
class Roughness:
    """What a packet meets on a bad way: a wait of up to `delay_up_to_s`, each its own, and a chance to be lost."""

    delay_up_to_s: float
    loss: float


LONGEST_S = 7200.0
"""What works on its own during a fault ends by itself after so long, whatever became of the drill."""
ANY = "*"
"""Every host and every place outside, in a way that is blocked."""


@dataclass(frozen=True)
class Way:
    """Packets from one host to another, by name; `ANY` for all. One direction only."""

    source: str
    destination: str


class Ground(Protocol):
    """A running estate that may be harmed. Undoing what was not done is harmless."""

    @property
    def settings(self) -> Settings: ...

    @property
    def estate(self) -> Estate: ...

    @property
    def public_address(self) -> tuple[str, int]:
        """Where visitors go, as `client_argv` sees it."""

    def client_argv(self, command: Sequence[str]) -> list[str]:
        """A command to be run as a computer outside AWS."""

    def host_argv(self, host: str, command: Sequence[str]) -> list[str]:
        """A command to be run on a host as root, past its network. :raises HaError: when it is off."""

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        """Runs a shell script on a host as root, past its network; what it printed. :raises HaError: when it failed."""

    def addresses(self) -> Mapping[str, str]:
        """Private address by host."""

    def cut(self, host: str) -> None:
        """Pulls a host's network cable."""

    def mend(self, host: str) -> None:
        """Plugs it in again."""

    def power_loss(self, host: str) -> None:
        """Ends a host silently."""

    def crash(self, host: str) -> None:
        """Ends a host; its connections are closed."""

    def power_on(self, host: str) -> None:
        """Boots a host that ended."""

    def block(self, ways: Sequence[Way]) -> None:
        """Drops packets on these ways, and on no others."""

    def unblock(self) -> None:
        """Drops no packets any more."""

    def roughen(self, ways: Sequence[Way], roughness: Roughness) -> None:
        """Makes these ways, between two hosts each, slow and lossy. It ends by itself after `LONGEST_S`."""

    def smooth(self) -> None:
        """Makes all ways as good as they were."""

    def throttle(self, host: str, cpus: float | None) -> None:
        """Holds all of a host to so many processors, as its hypervisor would; None lets it have what there is."""

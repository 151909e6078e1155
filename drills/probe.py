"""Which database hosts accept writes, seen from the hosts themselves: a row is committed on each, five times a second.

What "writable" settings say is not asked: a node counts only when it acknowledges a commit, synchronous replication
included, as it would to an application that found its way to it. A server that is off or in standby mode is not
tried: PostgreSQL itself lets no commit in there, whatever is set. One that was tried is, until it refuses.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from drills.ground import Ground
from drills.samples import WriteTry
from spec import ports
from spec.errors import HaError

EVERY_S = 0.2
HANGS_S = 2.0
TABLE = "ha_drill_probe"
SOCKETS = "/run/postgresql"
_RESTART_S = 0.3

# The host's own Python runs it, which has nothing of this project.
_TRYING = (
    *("python3", "-u", "-c", Path(__file__).with_name("tries.py").read_text(encoding="utf-8")),
    *(TABLE, f"{SOCKETS}/.s.PGSQL.{ports.POSTGRES}.lock", str(EVERY_S), str(HANGS_S)),
)


class Probe:
    """Tries on several hosts at once, started again when a host comes back."""

    def __init__(self, ground: Ground, hosts: Sequence[str]) -> None:
        self._ground = ground
        self._ending = threading.Event()
        self._tries: dict[str, list[WriteTry]] = {host: [] for host in hosts}
        self._threads = [threading.Thread(target=self._watch, args=(host,), daemon=True) for host in hosts]

    @property
    def tries(self) -> Mapping[str, Sequence[WriteTry]]:
        """What was seen so far, by host."""
        return self._tries

    @contextlib.contextmanager
    def running(self) -> Iterator[Probe]:
        """Tries for as long as the block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join(HANGS_S + 3)

    def _watch(self, host: str) -> None:
        while not self._ending.is_set():
            try:
                argv = self._ground.host_argv(host, _TRYING)
            except HaError:  # it is off
                self._ending.wait(_RESTART_S)
                continue
            self._follow(host, argv)
            self._ending.wait(_RESTART_S)

    def _follow(self, host: str, argv: Sequence[str]) -> None:
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                with contextlib.suppress(json.JSONDecodeError):  # the host ended in the middle of a line
                    start, end, accepted = json.loads(line)
                    self._tries[host].append(WriteTry(start, end, accepted))
                if self._ending.is_set():
                    break

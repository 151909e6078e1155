"""Which database hosts accept writes: on each host itself, a row is committed five times a second.

Settings are not evidence: a node counts as writable when it acknowledges a commit, synchronous replication included,
as it would to an application that reaches it. A server that is off or in standby mode is not asked: PostgreSQL accepts
no commit then, whatever its settings are. A server that accepted a commit is asked until it refuses one.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from drills.fault_injector import FaultInjector
from drills.samples import WriteAttempt
from ops.postgres import ADMIN_DATABASE, psql_argv
from spec import ports
from spec.errors import HaError

EVERY_S = 0.2
HANGS_S = 2.0
TABLE = "ha_drill_probe"
SOCKETS = "/run/postgresql"
_RESTART_S = 0.3

# The host's own Python runs it; this project is not on the host.
_LOOP = (
    *("python3", "-u", "-c", Path(__file__).with_name("probe_loop.py").read_text(encoding="utf-8")),
    *(TABLE, f"{SOCKETS}/.s.PGSQL.{ports.POSTGRES}.lock", str(EVERY_S), str(HANGS_S)),
    *psql_argv(ADMIN_DATABASE),
)


class Probe:
    """Attempts writes on several hosts at once; starts again on a host that comes back."""

    def __init__(self, injector: FaultInjector, hosts: Sequence[str]) -> None:
        self._injector = injector
        self._ending = threading.Event()
        self._attempts: dict[str, list[WriteAttempt]] = {host: [] for host in hosts}
        self._threads = [threading.Thread(target=self._watch, args=(host,), daemon=True) for host in hosts]

    @property
    def attempts(self) -> Mapping[str, Sequence[WriteAttempt]]:
        """The attempts so far, by host."""
        return self._attempts

    @contextlib.contextmanager
    def running(self) -> Iterator[Probe]:
        """Runs during the block."""
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
            with contextlib.suppress(HaError):  # the host is off
                self._follow(host, self._injector.host_argv(host, _LOOP))
            self._ending.wait(_RESTART_S)

    def _follow(self, host: str, argv: Sequence[str]) -> None:
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                with contextlib.suppress(json.JSONDecodeError):  # half a line: the host ended
                    start, end, accepted = json.loads(line)
                    self._attempts[host].append(WriteAttempt(start, end, accepted))
                if self._ending.is_set():
                    break

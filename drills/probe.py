"""Which database hosts accept writes, seen from the hosts themselves: a row is committed on each, five times a second.

What "writable" settings say is not asked: a node counts only when it acknowledges a commit, synchronous replication
included, as it would to an application that found its way to it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence

from components.errors import HaError
from drills.ground import Ground
from drills.samples import WriteTry

EVERY_S = 0.2
HANGS_S = 2.0
TABLE = "ha_drill_probe"
_RESTART_S = 0.3

# Runs on the host. psql stays connected only while its node accepts writes: pg_auto_failover shuts a node that it is
# to rewind down only when its last session has ended, also one that is a standby by then. The end of standard input is
# the end of the program.
ON_HOST = f"""
import json, os, select, subprocess, sys, time
COMMAND = ["/usr/local/sbin/ha-postgres", "psql", "-XqAt", "-d", "postgres"]
QUERY = b"insert into {TABLE} values (1) returning 'accepted';\\n\\\\echo end\\n"
session = None
def ask():
    global session
    if session is None or session.poll() is not None:
        session = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.write(session.stdin.fileno(), QUERY)
    seen, until = b"", time.monotonic() + {HANGS_S}
    while b"end\\n" not in seen:
        ready, _, _ = select.select([session.stdout], [], [], max(0, until - time.monotonic()))
        piece = os.read(session.stdout.fileno(), 4096) if ready else b""
        if not piece:
            session.kill()
            session.wait()
            session = None
            return b"accepted" in seen
        seen += piece
    if b"accepted" in seen:
        return True
    session.stdin.close()
    session.wait()
    session = None
    return False
while True:
    start = time.monotonic()
    try:
        accepted = ask()
    except OSError:
        accepted, session = False, None
    print(json.dumps([start, time.monotonic(), accepted]), flush=True)
    if select.select([sys.stdin], [], [], max(0, start + {EVERY_S} - time.monotonic()))[0]:
        break
if session is not None:
    session.kill()
"""  # noqa: S608 - the table's name is ours


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
                argv = self._ground.host_argv(host, ["python3", "-u", "-c", ON_HOST])
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

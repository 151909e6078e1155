"""Runs on a database host by itself, as `python3 -u -c`: tries to commit a row again and again, and prints each try as
`[start, end, accepted]` in JSON, in monotonic seconds. The end of standard input is its end.

Arguments: the table, the lock file of PostgreSQL's socket, seconds between tries, seconds after which a commit
counts as hung.
"""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

COMMAND = ("/usr/local/sbin/ha-postgres", "psql", "-XqAt", "-d", "postgres")


def may_commit(lock: Path) -> bool:
    """Whether a server runs that is not in standby mode: PostgreSQL removes `standby.signal` before it takes a commit.

    A log-in for each try would take a tenth of a small machine's processors from what is measured.
    """
    try:  # the second line is the data directory of the server that runs, whoever started it
        return not Path(lock.read_text().splitlines()[1], "standby.signal").exists()
    except FileNotFoundError:
        return False
    except (OSError, IndexError):
        return True


class Session:
    """psql, connected for as long as its node accepts writes: pg_auto_failover shuts a node that it is to rewind down
    only when its last session has ended, also one that is a standby by then.
    """

    def __init__(self, table: str, hangs_s: float) -> None:
        self._query = f"insert into {table} values (1) returning 'accepted';\n\\echo end\n".encode()  # noqa: S608
        self._hangs_s = hangs_s
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def is_open(self) -> bool:
        return self._child is not None

    def commits(self) -> bool:
        """Whether a row was committed within the time. :raises OSError: when psql cannot be run or has ended."""
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        os.write(self._child.stdin.fileno(), self._query)
        seen, until = b"", time.monotonic() + self._hangs_s
        while b"end\n" not in seen:
            ready, _, _ = select.select([self._child.stdout], [], [], max(0, until - time.monotonic()))
            piece = os.read(self._child.stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.close(kill=True)
                return b"accepted" in seen
            seen += piece
        if b"accepted" not in seen:
            self.close()
        return b"accepted" in seen

    def close(self, *, kill: bool = False) -> None:
        """Ends psql, at once where it may hang."""
        child, self._child = self._child, None
        if child is None or child.stdin is None:
            return
        if kill:
            child.kill()
        child.stdin.close()
        child.wait()


def tried(session: Session, lock: Path) -> bool:
    """Whether a row was committed. A server that took the last one is asked whatever a file says.

    :raises OSError: as above.
    """
    return (session.is_open or may_commit(lock)) and session.commits()


def main() -> None:
    table, lock, every_s, hangs_s = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    session = Session(table, hangs_s)
    while True:
        start = time.monotonic()
        try:
            accepted = tried(session, lock)
        except OSError:
            accepted = False
        print(json.dumps([start, time.monotonic(), accepted]), flush=True)
        if select.select([sys.stdin], [], [], max(0, start + every_s - time.monotonic()))[0]:
            break
    session.close(kill=True)


if __name__ == "__main__":
    main()

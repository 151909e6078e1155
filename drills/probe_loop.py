"""Runs on a database host as `python3 -u -c`, without this project: tries to commit a row again and again.

Prints each attempt as `[start, end, accepted]` in JSON, in monotonic seconds. It ends when its standard input does.

Arguments: the table, the lock file of PostgreSQL's socket, seconds between attempts, seconds after which a commit
counts as hung, then the command of psql.
"""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path


def may_commit(lock: Path) -> bool:
    """Whether a server runs that is not in standby mode: PostgreSQL removes `standby.signal` before it takes a commit.

    To log in for each attempt would take a tenth of a small machine's processors from what is measured.
    """
    try:  # the second line is the server's data directory, whichever software manages it
        return not Path(lock.read_text().splitlines()[1], "standby.signal").exists()
    except FileNotFoundError:
        return False
    except (OSError, IndexError):
        return True


class Session:
    """psql, connected only while its node accepts writes.

    pg_auto_failover shuts a node down for a rewind only after its last session has ended, even if it is a standby by
    then.
    """

    def __init__(self, psql: list[str], table: str, hangs_s: float) -> None:
        self._psql = psql
        self._query = f"insert into {table} values (1) returning 'accepted';\n\\echo end\n".encode()  # noqa: S608
        self._hangs_s = hangs_s
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def is_open(self) -> bool:
        return self._child is not None

    def commits(self) -> bool:
        """Whether a row was committed in time. :raises OSError: when psql cannot be run or has ended."""
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                self._psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
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
        """Ends psql; with `kill` at once, as it may hang."""
        child, self._child = self._child, None
        if child is None or child.stdin is None:
            return
        if kill:
            child.kill()
        child.stdin.close()
        child.wait()


def attempt(session: Session, lock: Path) -> bool:
    """Whether a row was committed. A server that accepted the previous one is asked, whatever its files say.

    :raises OSError: when psql cannot be run or has ended.
    """
    return (session.is_open or may_commit(lock)) and session.commits()


def main() -> None:
    table, lock, every_s, hangs_s, *psql = sys.argv[1:]
    session = Session(psql, table, float(hangs_s))
    while True:
        start = time.monotonic()
        try:
            accepted = attempt(session, Path(lock))
        except OSError:
            session.close(kill=True)
            accepted = False
        print(json.dumps([start, time.monotonic(), accepted]), flush=True)
        if select.select([sys.stdin], [], [], max(0, start + float(every_s) - time.monotonic()))[0]:
            break
    session.close(kill=True)


if __name__ == "__main__":
    main()

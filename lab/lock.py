"""The lab's lock: a file beside its state. `ha lab up` holds it first, then the supervisor for as long as it runs.

The holder removes the file before it releases it, so that nothing is left of a lab. So a process that gets the lock
checks that its file is still the one at the path.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

BRIEFLY_S = 1.0
"""Longer than `is_held` holds a lock to look at it."""
_POLL_S = 0.02


def is_held(path: Path) -> bool:
    """Whether a process holds the lock. :raises OSError: when the file cannot be opened."""
    try:
        with path.open("r", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def held(path: Path, *, doing: str, wait_s: float = BRIEFLY_S) -> Iterator[int]:
    """Holds the lock for the block, which gets its file descriptor: a child that inherits it keeps the lock.

    :param doing: what the holder does, for `holder`.
    :raises BlockingIOError: when another holds it for longer than `wait_s`.
    """
    with contextlib.closing(_take(path, time.monotonic() + wait_s)) as file:
        file.truncate(0)
        file.write(f"{os.getpid()} {doing}\n")
        file.flush()
        yield file.fileno()


def _take(path: Path, deadline: float) -> TextIO:
    while True:
        file = path.open("a", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise
            time.sleep(_POLL_S)
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether an open file is the one at the path: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def holder(path: Path) -> tuple[int, str]:
    """The last holder: its process id (0 when it has ended), and what it does, e.g. `starting`."""
    try:
        pid, _, doing = path.read_text(encoding="ascii").strip().partition(" ")
        number = int(pid)
    except (FileNotFoundError, ValueError):
        return 0, ""
    return (number if Path(f"/proc/{number}").exists() else 0), doing

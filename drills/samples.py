"""What a drill records: the requests of its visitors, and attempts to write on each database host.

All times are monotonic. All processes of the machine, those on the lab's hosts too, read the same clock, so that times
can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a request does."""

    READ = "read"
    WRITE = "write"
    LOGIN = "login"


@dataclass(frozen=True)
class Sample:
    """One request, from its begin to the end of its answer. `status` 0: no whole answer came, `error` says why."""

    kind: Kind
    start: float
    end: float
    status: int
    server: str = ""
    key: str = ""
    """Of a write, the title of its row."""
    error: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def session_gone(self) -> bool:
        """Whether the application did not find the session that the request came with."""
        return self.status == 401 and self.kind is not Kind.LOGIN

    @property
    def idempotent(self) -> bool:
        """Whether it is safe to send again. Each write of the load carries an Idempotency-Key."""
        return self.kind is not Kind.LOGIN

    @property
    def latency_s(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class WriteAttempt:
    """An attempt to commit a row on a database host itself, past all routing. `accepted`: it was acknowledged."""

    start: float
    end: float
    accepted: bool

"""What a drill records: requests of its visitors, and tries to write on each database host. All times are monotonic.

Every process of the machine reads the same clock, those on the lab's hosts too, so times of one can be held against
those of another.
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
    """One request from its first byte to its last. `status` 0: there was no whole answer, `error` says why."""

    kind: Kind
    start: float
    end: float
    status: int
    server: str = ""
    key: str = ""
    """For a write, the title that the row must have."""
    error: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def idempotent(self) -> bool:
        """Whether it might have been sent again. Each write of the load carries an Idempotency-Key."""
        return self.kind is not Kind.LOGIN

    @property
    def latency_s(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class WriteTry:
    """One try to commit a row on a database host itself, past all routing. `accepted`: it was acknowledged."""

    start: float
    end: float
    accepted: bool

"""A visitor outside AWS, and when he was answered."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.waiting import eventually
from tests.lab.estate.booted import Booted

VISITOR = Path(__file__).with_name("visitor.py")


class Visits:
    """The good answers that a visitor got, by time."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def times(self) -> list[float]:
        """Seconds of CLOCK_MONOTONIC. The last line may still be under way."""
        text = self._log.read_text(encoding="utf-8")
        return [float(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def since(self, moment: float) -> list[float]:
        return [t for t in self.times() if t > moment]

    def longest_gap_s(self) -> float:
        """The longest time without a good answer, between two of them."""
        times = self.times()
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@contextmanager
def visiting(estate: Booted, log: Path, path: str, cookie: str = "") -> Iterator[Visits]:
    """A visitor who asks for `path` all the time, from his first good answer on."""
    argv = estate.lab.in_network([sys.executable, VISITOR, estate.public_address(), path, cookie], client=True)
    with log.open("wb") as output, subprocess.Popen(list(map(str, argv)), stdout=output) as asking:
        try:
            visits = Visits(log)
            eventually("a first good answer", lambda: bool(visits.times()), deadline_s=10)
            yield visits
        finally:
            asking.terminate()

"""Signals that end a drill: they wait while something is broken or healed, and are let through in between."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Held:
    """Whether a signal may end what runs now. The first one that may closes the door for those after it."""

    def __init__(self) -> None:
        self.came = False
        """Whether one waits."""
        self._open = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals. :raises KeyboardInterrupt: while they are let through."""
        self.came = True
        if self._open:
            self._open = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """Signals end the block, also one that came before it."""
        self._open = True
        try:
            if self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self._open = False


@contextlib.contextmanager
def held_back() -> Iterator[Held]:
    """SIGINT, SIGTERM and SIGHUP wait for the end of the block, but for what is let through.

    :raises KeyboardInterrupt: at its end, when one came, whatever else went wrong in it.
    """
    held = Held()
    before = {number: signal.signal(number, held.note) for number in ENDINGS}
    try:
        yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held.came:
            raise KeyboardInterrupt

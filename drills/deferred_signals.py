"""Signals that end a drill are deferred while it breaks or heals something, and delivered in between."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DeferredSignals:
    """Whether a signal was received, and whether one may end what runs now."""

    def __init__(self) -> None:
        self.received = False
        self._deliver = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals. :raises KeyboardInterrupt: for the first signal while they are delivered."""
        self.received = True
        if self._deliver:
            self._deliver = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def delivered(self) -> Iterator[None]:
        """A signal ends the block, also one that was received before it."""
        self._deliver = True
        try:
            if self.received:
                raise KeyboardInterrupt
            yield
        finally:
            self._deliver = False


@contextlib.contextmanager
def defer_signals() -> Iterator[DeferredSignals]:
    """Defers SIGINT, SIGTERM and SIGHUP to the end of the block, except inside `delivered`.

    :raises KeyboardInterrupt: at the end when a signal was received; it replaces any other error.
    """
    deferred = DeferredSignals()
    before = {number: signal.signal(number, deferred.handle) for number in TERMINATION_SIGNALS}
    try:
        yield deferred
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if deferred.received:
            raise KeyboardInterrupt

"""Waits for a condition; a failure says what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from spec.errors import HaError

T = TypeVar("T")


def eventually(what: str, probe: Callable[[], T], *, deadline_s: float, every_s: float = 0.1) -> T:
    """The first true answer of `probe`, which may raise to end the wait at once.

    :raises HaError: naming `what` and the last answer, when there is none within `deadline_s`.
    """
    end = time.monotonic() + deadline_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise HaError(f"{what}: not within {deadline_s:g} s (last answer: {answer!r})")
        time.sleep(every_s)

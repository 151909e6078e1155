"""Runs drills as a user does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spec.errors import EXIT_PROMISE_BROKEN
from tests.lab.checkout import HA
from tests.lab.estate.booted import Booted, Browser

NOISE_S = 3.0
"""What a machine that is busy with other things may add to a short outage."""


def drill(
    booted: Booted, name: str, results: Path, *options: str, program: Sequence[str] = HA
) -> tuple[Mapping[str, Any], int]:
    """Runs a drill as a user does; its result and exit code."""
    where = ("--stack", booted.stack, "--results", str(results), "--json")
    done = booted.ha("--lab", "drill", "run", name, *where, *options, program=program)
    assert done.exit_code in (0, EXIT_PROMISE_BROKEN), done.stderr
    (found,) = json.loads(done.stdout)
    return found, done.exit_code


def assert_safe(found: Mapping[str, Any]) -> None:
    """True after every drill: no write lost or stored twice, one writer at a time, redundant again."""
    assert (found["lost"], found["doubled"], found["two_primaries"]) == (0, 0, False), found
    assert found["acknowledged"] > 0
    assert found["redundant_again_s"] is not None, found


def assert_sessions_held(found: Mapping[str, Any], browser: Browser) -> None:
    """No session is lost: the load, which signs in again after a 401, never had to; and a visitor who signed in before
    the drill is still signed in.
    """
    signed_out = {how: count for how, count in found["failures"].items() if " 401" in how}
    assert signed_out == {}, found
    assert browser.signed_in(), found

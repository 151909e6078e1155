"""Runs drills as a person does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spec.errors import EXIT_PROMISE_BROKEN
from tests.lab.estate.booted import Booted

NOISE_S = 3.0
"""What a machine that is busy with other things may add to a short outage."""


def drill(booted: Booted, name: str, results: Path, *options: str) -> tuple[Mapping[str, Any], int]:
    """Runs a drill as a person does; its result and exit code."""
    where = ("--stack", booted.stack, "--results", str(results), "--json")
    done = booted.ha("--lab", "drill", "run", name, *where, *options)
    assert done.exit_code in (0, EXIT_PROMISE_BROKEN), done.stderr
    (found,) = json.loads(done.stdout)
    return found, done.exit_code


def assert_sessions_kept(found: Mapping[str, Any]) -> None:
    """No request found its session gone (401). The load signs in again then, so that an outage does not show it."""
    gone = {what: count for what, count in found["failures"].items() if what.endswith(" 401")}
    assert gone == {}, found


def assert_safe(found: Mapping[str, Any]) -> None:
    """True after every drill: no write lost or stored twice, one writer at a time, redundant again."""
    assert (found["lost"], found["doubled"], found["two_primaries"]) == (0, 0, False), found
    assert found["acknowledged"] > 0
    assert found["redundant_again_s"] is not None, found

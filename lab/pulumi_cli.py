"""Finds the Pulumi CLI that `make setup` installed."""

from __future__ import annotations

import os
import re
import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path

from lab import process
from lab.paths import cache_directory
from spec.errors import EXIT_USAGE, HaError

MINIMUM_VERSION = tuple(int(part) for part in version("pulumi").split(".")[:3])
"""The SDK's own: the lock pins it, and an older CLI may lack what the SDK asks for."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@cache
def find_pulumi() -> Path:
    """The CLI: `HA_PULUMI`, else the one on PATH when it is new enough, else the one in the cache.

    :raises HaError: (exit 2) when there is none.
    """
    named = os.environ.get("HA_PULUMI")
    if named:
        path = Path(named)
        if not path.is_file():
            raise HaError(
                f"there is no Pulumi CLI at {path}",
                where="HA_PULUMI",
                fix="unset it, or name the CLI itself",
                exit_code=EXIT_USAGE,
            )
        return path
    on_path = shutil.which("pulumi")
    if on_path and _new_enough(on_path):
        return Path(on_path)
    wanted = ".".join(map(str, MINIMUM_VERSION))
    cached = cache_directory() / "bin" / f"pulumi-{wanted}" / "pulumi"
    if cached.is_file():
        return cached
    raise HaError(
        f"the Pulumi CLI {wanted} or newer is not installed",
        where=str(cached),
        fix="run `make setup`",
        exit_code=EXIT_USAGE,
    )


def _new_enough(path: str) -> bool:
    output = process.run([path, "version"], check=False, environment={"PULUMI_SKIP_UPDATE_CHECK": "true"}).stdout
    match = _VERSION.match(output.strip())
    return match is not None and tuple(int(part) for part in match.groups()) >= MINIMUM_VERSION

"""Where the lab keeps what it makes: state (gone with the lab) and cache (kept between labs)."""

from __future__ import annotations

import os
from pathlib import Path

from spec.errors import EXIT_USAGE, HaError


def state_directory() -> Path:
    """The lab's state: API, hosts' disks, volumes, logs. `HA_LAB_STATE` overrides it.

    :raises HaError: (exit 2) when it is not an absolute path below `/`.
    """
    named = os.environ.get("HA_LAB_STATE") or "/var/lib/event-manager-ha/lab"
    path = Path(named).resolve()
    if not Path(named).is_absolute() or not path.name:
        raise HaError(
            f"the lab's state cannot be at {named!r}",
            where="HA_LAB_STATE",
            fix="name a folder by its absolute path",
            exit_code=EXIT_USAGE,
        )
    return path


def cache_directory() -> Path:
    """What is kept between labs: host images, the Pulumi CLI. `HA_CACHE` overrides it."""
    return Path(os.environ.get("HA_CACHE", "") or Path.home() / ".cache" / "event-manager-ha")

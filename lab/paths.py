"""Where the lab keeps what it makes: state (gone with the lab) and cache (kept between labs)."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def state_directory() -> Path:
    """The lab's state: API, hosts' disks, volumes, logs. `HA_LAB_STATE` overrides it."""
    return Path(os.environ.get("HA_LAB_STATE", "/var/lib/event-manager-ha/lab"))


def cache_directory() -> Path:
    """What is worth keeping when the lab is gone: host images, the Pulumi CLI. `HA_CACHE` overrides it."""
    return Path(os.environ.get("HA_CACHE", "") or Path.home() / ".cache" / "event-manager-ha")

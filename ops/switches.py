"""Environment variables by which an operator overrides what the hooks of an update do."""

from __future__ import annotations

import os
from typing import Final

GATES: Final = "HA_GATES"
"""`off`: hosts are replaced without a hand-over and without waiting until they serve."""
DESTROY: Final = "HA_DESTROY"
"""Set by who destroys the estate: a hook cannot tell that from a replacement."""
WITHOUT: Final = "HA_WITHOUT"
"""Hosts, with commas between, that are down and that a roll-out leaves out."""


def gates_are_off() -> bool:
    return os.environ.get(GATES) == "off"


def is_destroyed() -> bool:
    return os.environ.get(DESTROY) == "1"


def left_out() -> list[str]:
    """The hosts that a roll-out leaves out."""
    return [name.strip() for name in os.environ.get(WITHOUT, "").split(",") if name.strip()]

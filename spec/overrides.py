"""Environment variables by which an operator takes back what an update refuses. Each refusal names its own."""

from __future__ import annotations

from typing import Final

GATES: Final = "HA_GATES"
"""`off`: hosts are replaced without a hand-over and without waiting until they serve. Recorded, and alerted."""
DESTROY: Final = "HA_DESTROY"
"""`1`: set by who destroys the estate: a hook cannot tell that from a replacement."""
WITHOUT: Final = "HA_WITHOUT"
"""Hosts, with commas between, that are down and that a roll-out leaves out."""
NAMES: Final = (GATES, DESTROY, WITHOUT)

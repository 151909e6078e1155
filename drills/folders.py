"""Where results are. Light to import: the command line names these folders in its help."""

from __future__ import annotations

from typing import Final

from spec.project import REPOSITORY

RESULTS_DIR: Final = REPOSITORY / ".results"
"""A user's runs, `STACK/DRILL-TIME.json`. Git ignores it."""
PUBLISHED_DIR: Final = REPOSITORY / "docs" / "results"
"""Campaigns, `DATE-STACK-MACHINE.jsonl`, without timelines: what the documentation is generated from."""
PEERS_DIR: Final = RESULTS_DIR / "peers"
"""A user's comparisons, `STACK/TIME.json`."""
PUBLISHED_PEERS_DIR: Final = PUBLISHED_DIR / "peers"
"""`DATE-STACK-MACHINE.jsonl`, a comparison a line, without timelines."""

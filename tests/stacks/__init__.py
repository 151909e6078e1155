"""Stack files of the tests' own, as they are shipped: a user's edit of his changes no test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STACKS: Final = Path(__file__).resolve().parent

"""Facts of the project itself: where its checkout is, what it is called, the account that documentation uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
"""The root of this checkout."""
PROJECT: Final = "ha"
"""Pulumi's name of the project, as in Pulumi.yaml: part of names, tags and configuration keys."""
EXAMPLE_ACCOUNT_ID: Final = "123456789012"
"""AWS's own example account: the lab's, and that of estimates, which have none."""

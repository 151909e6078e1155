"""Facts of the project itself: the root of its checkout, its name, the account that documentation uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
"""The root of this checkout."""
PROJECT: Final = "ha"
"""The project's name in Pulumi.yaml: part of names, tags and configuration keys."""
EXAMPLE_ACCOUNT_ID: Final = "123456789012"
"""AWS's example account. The lab and the estimates use it, because they have no account."""

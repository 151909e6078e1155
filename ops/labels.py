"""Names of pgBackRest's backups."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

Label = Annotated[str, StringConstraints(pattern=r"^\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?$")]
"""A full backup has the time when it began; an incremental one that of its full one, and its own."""

"""JSON files that a user names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spec.errors import EXIT_USAGE, HaError


def read_json(path: Path, what: str, fix: str) -> Any:
    """A JSON file that a user names. :raises HaError: (exit 2) when it is not one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "it cannot be read"
    except ValueError as error:
        reason = f"it is not complete JSON ({error})"
    except RecursionError:
        reason = "it is nested too deeply"
    raise HaError(f"{what} cannot be used: {reason}", where=str(path), fix=fix, exit_code=EXIT_USAGE)

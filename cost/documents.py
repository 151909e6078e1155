"""Files that one run hands to another: a diff in JSON, an engine's output. They may come from a stranger's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cost.diff import Diff
from spec.errors import EXIT_USAGE, HaError

_LARGEST_BYTES = 5_000_000
_DIFF_FIX = "make it with `ha cost diff --json`"


def read_diff(path: Path) -> Diff:
    """A diff that `ha cost diff --json` printed. :raises HaError: (exit 2) when it is anything else."""
    _bounded(path)
    document = read_json(path, "the diff", _DIFF_FIX)
    try:
        return Diff.model_validate(document)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        raise HaError(
            f"the diff cannot be used: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(path),
            fix=_DIFF_FIX,
            exit_code=EXIT_USAGE,
        ) from None


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


def _bounded(path: Path) -> None:
    if path.is_file() and path.stat().st_size > _LARGEST_BYTES:
        raise HaError(
            f"{path.name} is larger than {_LARGEST_BYTES} bytes",
            where=str(path),
            fix="check what wrote it: a diff or a preview is smaller",
            exit_code=EXIT_USAGE,
        )

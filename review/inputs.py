"""The documents that a comment is made of. They may come from a stranger's code: what cannot be read is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cost.diff import Diff
from review.document import Changes
from review.preview import Missing, Preview, Unreadable, read_preview

LARGEST_BYTES = 20_000_000
Model = TypeVar("Model", bound=BaseModel)


def read_changes(path: Path | None) -> Changes | None:
    return _read(path, Changes, "ha diff --json")


def read_cost(path: Path | None) -> Diff | None:
    return _read(path, Diff, "ha cost diff --json")


def read_previews(given: Iterable[tuple[str, Path]]) -> list[Preview | Missing]:
    """The preview of each stack, or why there is none."""
    found: list[Preview | Missing] = []
    for stack, path in given:
        try:
            found.append(read_preview(path, stack))
        except Unreadable as why:
            found.append(Missing(stack, str(why)))
    return found


def _read(path: Path | None, model: type[Model], command: str) -> Model | None:
    """None, and a line on standard error, when it is anything but what the command prints."""
    if path is None:
        return None
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError(f"it is larger than {LARGEST_BYTES // 1_000_000} MB")
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        why = str(error)
    sys.stderr.write(f"{path.name} is not what `{command}` prints: {why[:300]}\n")
    return None

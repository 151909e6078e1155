"""Documents in a folder, one file each: written whole or not at all, and read by what they must be."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from spec.errors import HaError

T = TypeVar("T")


def write(document: BaseModel, path: Path) -> Path:
    """Half a document would spoil every later report. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(document.model_dump_json() + "\n", encoding="utf-8")
    return beside.replace(path)


def read_all(folder: Path, pattern: str, kind: TypeAdapter[T]) -> list[T]:
    """What the files are that fit the pattern. :raises HaError: at one that is no such document."""
    return [_read(path, kind) for path in sorted(folder.glob(pattern))]


def _read(path: Path, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise HaError(
            f"no result of a drill: {error.errors()[0]['msg']}", where=str(path), fix="move it out of the folder"
        ) from None

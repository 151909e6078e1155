"""Documents as files: one a file, or one a line. Written whole or not at all, and checked when they are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from spec.errors import HaError

T = TypeVar("T")


def write(document: BaseModel, path: Path) -> Path:
    """One document a file. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _write(document.model_dump_json() + "\n", path)


def write_lines(lines: Iterable[str], path: Path) -> Path:
    """Documents as JSON lines. Returns the path."""
    return _write("".join(f"{line}\n" for line in lines), path)


def read_all(folder: Path, pattern: str, kind: TypeAdapter[T]) -> list[T]:
    """The documents in the files that fit the pattern. :raises HaError: at a file that is not such a document."""
    return [_read(path.read_text(encoding="utf-8"), kind, str(path)) for path in sorted(folder.glob(pattern))]


def read_lines(path: Path, kind: TypeAdapter[T]) -> list[T]:
    """The documents of a file of JSON lines. :raises HaError: at a line that is not such a document."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_read(line, kind, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line]


def _write(text: str, path: Path) -> Path:
    # Half a document would spoil every later report.
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(path)


def _read(text: str, kind: TypeAdapter[T], where: str) -> T:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        raise HaError(
            f"not a result of a drill: {error.errors()[0]['msg']}",
            where=where,
            fix="move it out of the folder, or name another folder with --results",
        ) from None

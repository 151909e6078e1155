"""The table of every setting, from the model itself, for docs/settings.md."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from spec.markdown import table
from spec.settings import Settings
from spec.stack_file import REGION_KEY


@dataclass(frozen=True)
class Row:
    """One setting: its name within its group, what it takes and what it is when not set."""

    name: str
    takes: str
    default: str


@dataclass(frozen=True)
class Group:
    """A group of settings and what its model's docstring says of it."""

    name: str
    about: str
    rows: tuple[Row, ...]


def groups() -> Iterator[Group]:
    """Every group of the settings, the ungrouped ones last."""
    single: list[Row] = []
    for name, field in Settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield Group(name, inspect.getdoc(annotation) or "", tuple(_rows(annotation)))
        elif name != "region":
            single.append(next(r for r in _rows(Settings) if r.name == name))
    yield Group("", f"Settings without a group. The region is {REGION_KEY}, beside them.", tuple(single))


def markdown() -> str:
    """The whole page's generated part."""
    parts = []
    for group in groups():
        title = f"`{group.name}`" if group.name else "Ungrouped"
        rows = [(f"`{row.name}`", row.takes, row.default) for row in group.rows]
        parts.append(f"## {title}\n\n{group.about}\n\n" + table(("setting", "takes", "default"), rows))
    return "\n\n".join(parts) + "\n"


def _rows(model: type[BaseModel]) -> Iterator[Row]:
    # As they are given: what is written out differs (a Decimal is written as a string, and none is taken).
    properties = model.model_json_schema(mode="validation")["properties"]
    for name, field in model.model_fields.items():
        default = "required" if field.default is PydanticUndefined else f"`{_shown(field.default)}`"
        yield Row(name, _takes(properties.get(name, {})), default)


def _shown(value: Any) -> str:
    plain = value if isinstance(value, bool | int | float | str | dict | list | tuple | None) else str(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _takes(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words: `integer, 4 to 16384`."""
    if "anyOf" in schema:
        return " or ".join(_takes(s) for s in schema["anyOf"])
    if "const" in schema:
        return f"`{_shown(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{v}`" for v in schema["enum"])
    words = [{"null": "`null`", "object": "mapping"}.get(kind := schema.get("type", "text"), kind)]
    if kind == "array":
        words = [f"list of {_takes(schema.get('items', {}))}"]
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is not None and high is not None:
        words.append(f"{'more than ' if 'exclusiveMinimum' in schema else ''}{low} to {high}")
    elif low is not None:
        words.append(f"{'more than' if 'exclusiveMinimum' in schema else 'at least'} {low}")
    if "pattern" in schema:
        words.append("matching `" + schema["pattern"].replace("|", "\\|") + "`")
    return ", ".join(words)

"""The changes between a resource's state and its new inputs, property by property."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

from lab.provider.resource_type import Properties, ResourceType

_SIMPLE_KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_KINDS = {
    ("add", False): PropertyDiffKind.ADD,
    ("add", True): PropertyDiffKind.ADD_REPLACE,
    ("delete", False): PropertyDiffKind.DELETE,
    ("delete", True): PropertyDiffKind.DELETE_REPLACE,
    ("update", False): PropertyDiffKind.UPDATE,
    ("update", True): PropertyDiffKind.UPDATE_REPLACE,
}


@dataclass(frozen=True)
class Difference:
    """The changed inputs, those that replace the resource, and each change in detail."""

    changed: set[str] = field(default_factory=set)
    replaces: set[str] = field(default_factory=set)
    detail: dict[str, PropertyDiff] = field(default_factory=dict)


def compare(resource_type: ResourceType, old: Properties, new: Properties, tags_all: Mapping[str, str]) -> Difference:
    """Compare a state with new inputs (both plain; new values may be unknown).

    :param tags_all: the tags that the resource should have, default tags included.
    """
    changed = {
        name
        for name in resource_type.all_inputs
        if _changed(resource_type, name, old.get(name), new.get(name, _default(resource_type, name)))
    }
    replaces = changed & resource_type.replaces | resource_type.also_replaces(old, new, changed)
    detail: dict[str, PropertyDiff] = {}
    for name in sorted(changed):
        for path, kind in _steps(name, old.get(name), new.get(name, _default(resource_type, name))):
            detail[path] = PropertyDiff(_KINDS[kind, name in replaces], input_diff=True)
    if resource_type.retag and "tags" not in changed and dict(old.get("tagsAll") or {}) != dict(tags_all):
        changed.add("tagsAll")
        for path, kind in _steps("tagsAll", old.get("tagsAll") or {}, dict(tags_all)):
            detail[path] = PropertyDiff(_KINDS[kind, False], input_diff=False)
    return Difference(changed, replaces, detail)


def _default(resource_type: ResourceType, name: str) -> Any:
    return resource_type.defaults.get(name)


def _changed(resource_type: ResourceType, name: str, old: Any, new: Any) -> bool:
    if _empty(new):
        return not _empty(old) and name not in resource_type.all_computed
    return not resource_type.same(name, old, new)


def _empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, dict | list) and not value)


def _steps(path: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """The paths at which two values differ, as the engine writes them, each with add, delete or update."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        deeper = [
            step
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
            and not (_empty(old.get(key)) and _empty(new.get(key)))
            and (key in new or key == "tags" or _is_map(path))
            for step in _steps(_join(path, key), old.get(key), new.get(key))
        ]
        yield from deeper or [(path, "update")]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        deeper = [
            step
            for index, (left, right) in enumerate(zip(old, new, strict=True))
            if left != right
            for step in _steps(f"{path}[{index}]", left, right)
        ]
        yield from deeper or [(path, "update")]
    elif _empty(old):
        yield path, "add"
    elif _empty(new):
        yield path, "delete"
    else:
        yield path, "update"


def _is_map(path: str) -> bool:
    """Whether a missing key is a difference: it is in maps that users write, not in blocks that AWS fills in."""
    return path.rpartition(".")[2] in ("tags", "tagsAll", "dimensions")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if _SIMPLE_KEY.match(key) else f'{path}["{key}"]'

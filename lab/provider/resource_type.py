"""What the provider has to know of one resource type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.wire import is_asset

Properties = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How a resource gets a physical name when the program gives none, as in the real provider."""

    property: str = "name"
    prefix_property: str | None = "namePrefix"
    max_length: int = 255
    lower_case: bool = False


def nothing_to_refuse(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    return []


def nothing_more_replaces(old: Properties, new: Properties, changed: set[str]) -> set[str]:
    return set()


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One resource type.

    Functions get the `Cloud`, the resource's id and plain property dictionaries with the names that Pulumi uses.
    """

    type: str
    inputs: frozenset[str]
    """The inputs that the lab understands. Any other is refused by name, never ignored."""
    required: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    """Outputs besides the inputs: unknown until the resource is made."""
    replaces: frozenset[str] = frozenset()
    """Inputs whose change replaces the resource (ForceNew in the real provider's schema)."""
    computed: frozenset[str] = frozenset()
    """Inputs that AWS fills in when they are not given: to remove one changes nothing."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values that the real provider assumes when nothing is given."""
    documents: frozenset[str] = frozenset()
    """Inputs that are JSON: equal when they say the same."""
    sets: frozenset[str] = frozenset()
    """Inputs that are lists whose order has no meaning."""
    blocks: frozenset[str] = frozenset()
    """Inputs that are objects in which AWS fills in what is not given."""
    naming: Naming | None = None
    create: Callable[[Cloud, Properties], str]
    """Creates it; returns its id."""
    read: Callable[[Cloud, str, Properties], Properties | None]
    """What AWS says of it now, by the names of inputs and outputs; None when it is gone."""
    update: Callable[[Cloud, str, Properties, Properties, set[str]], None] | None = None
    """(cloud, id, old state, new inputs, names of changed inputs). None: nothing can be updated but tags."""
    delete: Callable[[Cloud, str, Properties], None]
    retag: Callable[[Cloud, str, Properties, dict[str, str], list[str]], None] | None = None
    """(cloud, id, state, tags to set, keys to remove); None: this type has no tags."""
    refuse: Callable[[Cloud, Properties], list[tuple[str, str]]] = nothing_to_refuse
    """(property, reason) of inputs that AWS would refuse. Called at preview: values may be unknown."""
    also_replaces: Callable[[Properties, Properties, set[str]], set[str]] = nothing_more_replaces
    """(old state, new inputs, changed): the changed inputs that replace it in this case."""

    @property
    def all_inputs(self) -> frozenset[str]:
        return self.inputs | ({"tags"} if self.retag else frozenset())

    @property
    def all_outputs(self) -> frozenset[str]:
        return self.outputs | ({"tagsAll"} if self.retag else frozenset())

    @property
    def all_computed(self) -> frozenset[str]:
        """Inputs that have a value even when none is given."""
        return self.computed | ({self.naming.property} if self.naming else frozenset())

    def same(self, name: str, one: Any, other: Any) -> bool:
        """Whether two values of an input mean the same to AWS."""
        if one == other:
            return True
        if is_asset(one) and is_asset(other):
            return bool(one.get("hash") == other.get("hash"))
        if name in self.documents and isinstance(one, str) and isinstance(other, str):
            try:
                return bool(json.loads(one) == json.loads(other))
            except ValueError:
                return False
        if name in self.sets and isinstance(one, list) and isinstance(other, list):
            return sorted(map(repr, one)) == sorted(map(repr, other))
        return name in self.blocks and _covers(one, other)


def _covers(old: Any, new: Any) -> bool:
    """Whether `old`, which AWS may have filled in, has everything of `new`. Tags must be the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if (old.get("tags") or {}) != (new.get("tags") or {}):
            return False
        return all(_covers(old.get(key), value) for key, value in new.items() if value is not None)
    return bool(old == new)


def names(text: str) -> frozenset[str]:
    """A set of names written as one text."""
    return frozenset(text.split())

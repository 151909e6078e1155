"""Converts between the engine's property values and plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_ON_THE_WIRE


class Unknown:
    """A value that will only be known after an update. There is one: `UNKNOWN`."""

    def __repr__(self) -> str:
        return "<known after the update>"


UNKNOWN = Unknown()


def plain(value: Any) -> Any:
    """A property value as plain Python: secrets unwrapped, whole numbers as int, `UNKNOWN` where not yet known."""
    inner = value.value if isinstance(value, PropertyValue) else value
    # The SDK passes the engine's marker of an unknown value on as text.
    if isinstance(inner, Computed) or inner == UNKNOWN_ON_THE_WIRE:
        return UNKNOWN
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    if isinstance(inner, str | bool | float | int) or inner is None:
        return inner
    if isinstance(inner, Mapping):
        return {name: plain(item) for name, item in inner.items()}
    if isinstance(inner, Sequence):
        return [plain(item) for item in inner]
    raise TypeError(f"the lab's provider cannot use a value of {type(inner).__name__}")


def plain_map(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """The properties of a resource as plain Python, without those that have no value."""
    found = {name: plain(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def property_value(value: Any, *, secret: bool = False) -> PropertyValue:
    """Plain Python as a property value."""
    if value is UNKNOWN:
        return PropertyValue(UNKNOWN_ON_THE_WIRE, is_secret=secret)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return PropertyValue(value, is_secret=secret)
    if isinstance(value, int | float):
        return PropertyValue(float(value), is_secret=secret)
    if isinstance(value, Mapping):
        return PropertyValue({name: property_value(item) for name, item in value.items()}, is_secret=secret)
    if isinstance(value, Sequence):
        return PropertyValue([property_value(item) for item in value], is_secret=secret)
    raise TypeError(f"the lab's provider cannot answer with a value of {type(value).__name__}")


def outputs_of(values: Mapping[str, Any], inputs: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """Outputs for the engine: an input whose value is the same stays as it was given, with its secrets."""
    answer = {}
    for name, value in values.items():
        given = inputs.get(name)
        if given is not None and plain(given) == value:
            answer[name] = given
        else:
            answer[name] = property_value(value, secret=given is not None and given.contains_secret())
    return answer

"""Calls of the API: their arguments, their answers, and what is gone already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.provider.cloud import Cloud, is_gone
from lab.provider.resource_type import Properties


def found(ask: Callable[[], Any]) -> Any | None:
    """The answer, or None when AWS says that it does not exist."""
    try:
        return ask()
    except Exception as error:
        if is_gone(error):
            return None
        raise


def gone(do: Callable[[], Any]) -> None:
    """Delete something; it is no error when it does not exist."""
    found(do)


def again(create: Callable[[Cloud, Properties], str], cloud: Cloud, inputs: Properties) -> None:
    """Update something by creating it again, which overwrites it."""
    create(cloud, inputs)


def given(**arguments: Any) -> dict[str, Any]:
    """Arguments of an API call without those that have no value."""
    return {name: value for name, value in arguments.items() if value is not None}


def present(properties: Mapping[str, Any]) -> Properties:
    """Properties without those that AWS gave no value."""
    return {name: value for name, value in properties.items() if value is not None and value != ""}

"""The resource types against the SDK of the real provider, which knows every name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pulumi_aws
import pytest

from lab.provider.resource_types import RESOURCE_TYPES


def resource_class(token: str) -> type[Any]:
    """The SDK's class of a resource type, e.g. `aws:ec2/instance:Instance`."""
    module, _, name = token.split(":")[1].partition("/")
    found: type[Any] = getattr(getattr(pulumi_aws, module), token.rpartition(":")[2])
    assert name[0].upper() + name[1:] == found.__name__
    return found


def source_of(resource: type[Any]) -> str:
    """The file of a resource's class: `inspect.getsource` of a class parses it each time, which takes half a second."""
    return Path(inspect.getfile(resource)).read_text(encoding="utf-8")


def input_names(resource: type[Any]) -> set[str]:
    """The inputs of a resource as Pulumi's engine names them: what its constructor takes over from its arguments."""
    constructor = source_of(resource).partition("def _internal_init(")[2].partition("def get(")[0]
    python_names = set(re.findall(r"__props__\.__dict__\[[\"'](\w+)[\"']\] = (?!None)", constructor))
    return {property_name(resource, name) for name in python_names}


def output_names(resource: type[Any]) -> set[str]:
    """The outputs of a resource as Pulumi's engine names them."""
    return {property_name(resource, name) for name, value in vars(resource).items() if isinstance(value, property)}


def property_name(resource: type[Any], python_name: str) -> str:
    getter = inspect.getattr_static(resource, python_name).fget
    return str(getattr(getter, "_pulumi_name", python_name))


@pytest.mark.parametrize("token", RESOURCE_TYPES)
def test_a_type_uses_the_real_providers_token_and_names(token: str) -> None:
    resource_type, resource = RESOURCE_TYPES[token], resource_class(token)
    assert re.search(f"[\"']{token}[\"']", source_of(resource))
    outputs = output_names(resource)
    assert resource_type.all_inputs <= input_names(resource)
    assert resource_type.all_outputs <= outputs
    for names in (
        resource_type.required,
        resource_type.replaces,
        resource_type.computed,
        resource_type.documents,
        resource_type.sets,
        resource_type.blocks,
        set(resource_type.defaults),
    ):
        assert set(names) <= resource_type.all_inputs | resource_type.all_outputs


@pytest.mark.parametrize("token", RESOURCE_TYPES)
def test_a_type_has_tags_where_the_real_resource_has_them(token: str) -> None:
    has_tags = "tagsAll" in output_names(resource_class(token))
    assert (RESOURCE_TYPES[token].retag is not None) == has_tags

"""Runs of the program for estimates: one for each stack and configuration, kept until the tests end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from cost import stacks
from cost.program import Recording, record, with_release
from cost.resources import Resource, provider_resources
from spec.project import REPOSITORY
from spec.settings import Settings
from tests.stacks import STACKS


def recording_of(stack: str, *changes: str) -> Recording:
    """What the program registers for a stack of the tests, with changes made to its settings."""
    config = stacks.config_of(stack, changes, STACKS)
    return _recorded(stack, json.dumps(config))


def declared_by(stack: str, config: Mapping[str, Any], _settings: Settings) -> list[Resource]:
    """In place of `stacks.declared_by`."""
    return provider_resources(_recorded(stack, json.dumps(config)).registrations)


@cache
def _recorded(stack: str, config_json: str) -> Recording:
    config = json.loads(config_json)
    release = stacks.settings_of(stack, config).application.release
    with with_release(REPOSITORY, release) as folder:
        return record(folder, stack, config)

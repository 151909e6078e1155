"""A run of the project's own program under Pulumi's mocks, as tests look at it.

A mock cannot show a diff, a replacement or an import; `tests/engine` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cost.program import record, with_release
from cost.resources import Registration
from spec.project import PROJECT, REPOSITORY
from spec.stack_file import read_stack_config
from tests.stacks import STACKS

Resource = Registration


@dataclass(frozen=True)
class Program:
    """What a run of the program declared."""

    resources: Sequence[Resource]
    registered_outputs: set[str]

    def of(self, type_: str) -> list[Resource]:
        return [r for r in self.resources if r.type == type_]

    def named(self, type_: str, name: str) -> Resource:
        (found,) = [r for r in self.of(type_) if r.name == name]
        return found


def run_program(stack: str, **changes: Any) -> Program:
    """Runs `__main__.py` for one of the tests' stacks.

    :param changes: top-level settings that replace the stack's own.
    :raises: whatever the program raises.
    """
    config = read_stack_config(STACKS, stack)
    settings = {**config[f"{PROJECT}:settings"], **changes}
    with with_release(REPOSITORY, settings["application"]["release"]) as folder:
        recording = record(folder, stack, {**config, f"{PROJECT}:settings": settings})
    return Program(recording.registrations, recording.registered_outputs)


@cache
def program_of(stack: str) -> Program:
    """What the program declares for one of the tests' stacks as it is."""
    return run_program(stack)

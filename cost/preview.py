"""What a program declares, read from an engine's preview (`pulumi preview --json --show-sames`).

For programs that look things up in the account, which mocks cannot answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cost.documents import read_json
from cost.resources import Registration, Resource, provider_resources
from spec.errors import EXIT_USAGE, HaError
from spec.project import PROJECT, REPOSITORY

# Steps that remove a resource, which is then not paid for.
_FIX = "make it with `pulumi preview --stack STACK --json --show-sames > FILE`"
_GOING = ("delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace")


def resources_in(path: Path, stack: str) -> list[Resource]:
    """Every resource that will be there after the update.

    :raises HaError: (exit 2) when the file is not a preview of this project and stack, or not a complete one.
    """
    document = read_json(path, "the preview", _FIX)
    steps = document.get("steps") if isinstance(document, dict) else None
    if not isinstance(steps, list):
        raise _refused(path, "it has no steps: it is not a preview in JSON")
    found: dict[str, Registration] = {}
    for step in steps:
        registration = _registration(step, path)
        if registration is not None:
            found[registration.urn] = registration
    _check(found, steps, document, path, stack)
    return provider_resources(list(found.values()))


def _registration(step: Any, path: Path) -> Registration | None:
    if not isinstance(step, dict) or "op" not in step:
        raise _refused(path, "a step in it has no operation")
    if step["op"] in _GOING:
        return None
    state = step.get("newState")
    if not isinstance(state, dict) or not all(isinstance(state.get(name), str) for name in ("urn", "type")):
        raise _refused(path, f"the step {step['op']} of {step.get('urn', 'a resource')} has no new state")
    inputs, parent = state.get("inputs") or {}, state.get("parent") or ""
    if not isinstance(inputs, Mapping) or not isinstance(parent, str):
        raise _refused(path, f"the inputs or the parent of {state['urn']} have the wrong type")
    return Registration(
        type=state["type"],
        name=state["urn"].rpartition("::")[2],
        inputs=inputs,
        parent=parent,
        protect=False,
        delete_before_replace=False,
        depends_on=(),
        urn=state["urn"],
        provider=str(state.get("provider") or ""),
    )


def _check(
    found: Mapping[str, Registration], steps: list[Any], document: Mapping[str, Any], path: Path, stack: str
) -> None:
    if not found:
        raise _refused(path, "it has no resources")
    for urn in found:
        parts = urn.split("::")
        if len(parts) < 4 or parts[0] != f"urn:pulumi:{stack}" or parts[1] != PROJECT:
            raise _refused(path, f"{urn} is not of project {PROJECT}, stack {stack}")
    summary = document.get("changeSummary") or {}
    unchanged = summary.get("same", 0) if isinstance(summary, Mapping) else None
    if not isinstance(unchanged, int):
        raise _refused(path, "its changeSummary has no count of unchanged resources")
    shown = sum(1 for step in steps if step["op"] == "same")
    if unchanged > shown:
        raise _refused(path, f"it leaves out {unchanged - shown} unchanged resources, which cost as much as the others")


def _refused(path: Path, why: str) -> HaError:
    where = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path
    return HaError(
        f"the preview cannot be used: {why}",
        where=str(where),
        fix=_FIX,
        exit_code=EXIT_USAGE,
    )

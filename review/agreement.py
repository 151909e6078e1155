"""Where the engine's preview and the compared files tell different stories of one stack.

A preview compares this checkout with what the account runs; `ha diff` compares it with the base. Both say the same of
hosts and of tiers' files, unless something else than the base runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from review.document import Changes, Fate, StackChange
from review.file_diffs import USER_DATA
from review.preview import Op, Preview
from spec.pointer import Pointer
from spec.tiers import PLANNED_TIERS, Tier

_INSTANCE: Final = "aws.ec2.Instance"
_WHY: Final = "something else than the base runs. What the preview says is what happens"
_OF_FATE: dict[Fate, Op | None] = {
    "nothing": None,
    "changes": None,
    "restarts": None,
    "replaced": "replaced",
    "added": "created",
    "removed": "deleted",
}


def disagreements(preview: Preview, changes: Changes) -> Iterator[str]:
    """What only one of the two tells of the preview's stack, in a sentence each. None when one of them is not whole."""
    change = next((one for one in changes.stacks if one.stack == preview.stack), None)
    if change is None or change.new or not change.compared or preview.errors:
        return
    foreseen, pointed = _tiers_with_other_files(change), _tiers_with_another_pointer(preview)
    possible = foreseen | {one.tier for one in change.hosts if one.fate in ("added", "removed")}
    if changes.release or any(one.name == "application.release" for one in change.settings):
        possible.add(Tier.APP)
    if more := pointed - possible:
        yield f"the preview changes the files of tier {_listed(more)} as well, and this change does not: {_WHY}"
    if less := foreseen - pointed:
        yield f"this change edits files of tier {_listed(less)}, and the preview does not change them: {_WHY}"
    if changes.program:  # resources may change for what `ha diff` does not read, and it says so
        return
    instances = {one.name: one.op for one in preview.changes if one.type == _INSTANCE and one.op != "changed"}
    fates = {one.name: op for one in change.hosts if (op := _OF_FATE[one.fate]) is not None}
    for name in sorted(instances.keys() | fates.keys()):
        told, meant = instances.get(name), fates.get(name)
        if told != meant:
            yield f"{name} is {told or 'kept'} by the preview, and {meant or 'kept'} by the files: {_WHY}"


def _tiers_with_other_files(change: StackChange) -> set[Tier]:
    """User data is no file of a bundle."""
    return {one.tier for one in change.tiers if any(file.path != USER_DATA for file in one.files)}


def _tiers_with_another_pointer(preview: Preview) -> set[Tier]:
    """A pointer may change otherwise as well, such as in its tags."""
    changed = {
        one.name
        for one in preview.changes
        if one.op != "changed" or any(cause.path == "content" for cause in one.causes)
    }
    return {tier for tier in PLANNED_TIERS if Pointer.resource_name(tier) in changed}


def _listed(tiers: set[Tier]) -> str:
    return ", ".join(tier for tier in Tier if tier in tiers)

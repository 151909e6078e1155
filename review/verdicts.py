"""What is wrong with a change, in a line each that begins with its mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cost import diff_text
from cost.diff import APPROVAL_LABEL, Diff, needs_approval, of_edits
from review.document import Changes
from review.preview import Missing, Preview
from review.sections import MOST_STACKS, counts, cut_bytes, stack_name
from spec.markdown import plain

_BYTES = 300
_WORST_FIRST = ("❌", "⚠️", "✅")


def verdicts(found: Sequence[str], most: int) -> str:
    """As a list. The worst come first, so that it is the others that are left out."""
    lines = sorted(found, key=lambda line: _WORST_FIRST.index(line.partition(" ")[0]))
    if len(lines) > most:
        lines = [*lines[: most - 1], f"❌ and {len(lines) - most + 1} more: read the run's summary"]
    return "\n".join(f"- {cut_bytes(plain(line), _BYTES)}" for line in lines)


def of_preview(found: Preview | Missing) -> Iterator[str]:
    if isinstance(found, Missing):
        yield f"❌ There is no preview of {stack_name(found.stack)} to show: {found.why}"
    elif found.errors:
        yield f"❌ The preview of {stack_name(found.stack)} failed, and what it shows is not all: {found.errors[0]}"
    elif protected := [one.name for one in found.removed if one.protected]:
        yield f"❌ {stack_name(found.stack)}: {counts(found)}; these are protected: {', '.join(protected)}"
    else:
        yield f"{'⚠️' if found.removed else '✅'} {stack_name(found.stack)}: {counts(found)}"


def of_changes(changes: Changes | None) -> Iterator[str]:
    if changes is None:
        yield "❌ What the hosts do is not known: the run that compares them failed. Read its log."
        return
    if changes.base_failed:
        yield f"❌ Files and hosts are not compared: the base cannot be rendered ({changes.base_failed})"
    for stack, why in changes.unreadable.items():
        yield f"❌ {stack_name(stack)} cannot be rendered: {why}"
    for one in changes.stacks:
        yield from (f"❌ {stack_name(one.stack)}: a running estate refuses this: {why}" for why in one.refused)
    yield from (f"⚠️ {line}" for line in (changes.release, changes.program) if line)
    if len(changes.stacks) > MOST_STACKS:
        yield f"❌ Hosts of the first {MOST_STACKS} stacks alone are shown, of {len(changes.stacks)}"


def gone(changes: Changes | None, cost: Diff | None) -> list[str]:
    return sorted({*(changes.gone if changes else ()), *(cost.gone if cost else ())})


def without_cost(edited: Sequence[str], approved: bool) -> Iterator[str]:
    yield "❌ There is no estimate: the run that makes it failed. Read its log."
    yield from approval(of_edits(edited), approved)


def of_cost(cost: Diff, approved: bool) -> Iterator[str]:
    yield from approval(needs_approval(cost), approved)
    for one in cost.stacks:
        if not one.within_budget:
            yield f"❌ {stack_name(one.stack)}: {diff_text.budget(one)}"
        if one.before_failed:
            yield f"❌ What {stack_name(one.stack)} cost before is not known: {one.before_failed}"
    if len(cost.stacks) > MOST_STACKS:
        yield f"❌ The cost of the first {MOST_STACKS} stacks alone is shown, of {len(cost.stacks)}"


def approval(reasons: Iterable[str], approved: bool) -> list[str]:
    if approved:
        return [f"✅ Approved with the label {APPROVAL_LABEL}: {one}" for one in reasons]
    return [f"❌ A person has to agree, with the label {APPROVAL_LABEL}: {one}" for one in reasons]

"""The comment of a pull request: what the engine would do, what the hosts do, what it costs.

Its documents may come from a stranger's fork: nothing of their text is markup here. What is dangerous is never left
out; of the rest, as much as fits is shown, and the whole is in a summary beside it.

Sizes are in bytes of UTF-8, although GitHub counts characters: that is never more, whatever it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from cost.diff import GONE, Diff, needs_approval
from review.agreement import disagreements
from review.document import Changes
from review.preview import Missing, Preview
from review.sections import MOST_STACKS, block, cost_of, fit, hosts_of, names, resources, size, stack_name
from review.verdicts import approval, gone, of_changes, of_cost, of_preview, verdicts, without_cost
from spec.markdown import plain

MARKER = "<!-- ha: pull request -->"
COMMENT_BYTES = 64_000  # GitHub takes 65,536 characters; who publishes it adds a few lines
SUMMARY_BYTES = 1_000_000  # GitHub takes 1 MiB a step
NAMES_BYTES = 30_000
"""What the names of all that is replaced or deleted may take. A preview with more is named, in red, and not shown."""
_MOST_VERDICTS = 20


@dataclass(frozen=True)
class Comment:
    """`summary` is the same at greater length, for the summary of the job."""

    text: str
    summary: str


def comment(
    *,
    changes: Changes | None = None,
    cost: Diff | None = None,
    previews: Sequence[Preview | Missing] = (),
    edited: Sequence[str] | None = None,
    unlisted: bool = False,
    fork: bool = False,
    approved: bool = False,
    summary_url: str = "",
) -> Comment:
    """The one comment of a pull request. A document that is None is one that the run has not made: the comment says so.

    :param edited: the files that `Diff.edited` should have, from who does not run the change's code; None: it counts.
    :param unlisted: whether it is not known which previews there should be, because the run failed.
    :param fork: whether a stranger's code made the documents; there are then no previews.
    :param approved: whether a person agreed with what `needs_approval` names.
    :param summary_url: where the summary is shown.
    """

    if cost and edited is not None:
        cost = cost.model_copy(update={"edited": list(edited)})
    lines = [
        *of_changes(changes),
        *(f"❌ {stack_name(name)}: {GONE}" for name in gone(changes, cost)),
        *(of_cost(cost, approved) if cost else without_cost(edited or (), approved)),
    ]
    if changes:
        told = (one for one in previews if isinstance(one, Preview))
        lines += [f"⚠️ {stack_name(one.stack)}: {why}" for one in told for why in disagreements(one, changes)]
    if unlisted:
        lines.append("❌ There is no preview: the job that lists the stacks did not succeed. Read its log.")

    def build(limit: int, names_limit: int) -> str:
        times = 1 if limit == COMMENT_BYTES else 10
        most, most_lines = times * MOST_STACKS, times * _MOST_VERDICTS
        shown = _within(previews[:most], names_limit)
        left_out = [f"❌ The previews of {most} stacks are shown, of {len(previews)}"] if len(previews) > most else []
        told = verdicts([*left_out, *chain(*map(of_preview, shown)), *lines], most_lines)
        head = [MARKER, "## What this change does", told]
        if fork:
            head.append(
                "This comes from a fork: its own code made what follows, so read its changes under `cost/` and "
                "`review/` first. A fork has no credentials, and so no preview."
            )
        elif not previews and not unlisted:
            head.append("There is no preview: none ran. Its set-up is in docs/pull-requests.md.")
        parts = [
            *(resources(one) for one in shown if isinstance(one, Preview)),
            *(chain.from_iterable(map(hosts_of, changes.stacks[:MOST_STACKS])) if changes else ()),
            *(cost_of(cost, approved) if cost else ()),
        ]
        where = f"[the summary of the run]({summary_url})" if summary_url else "the summary of the run"
        kept = " in the previews shown" if left_out else ""
        note = f"**Not all of it fits here.** All that is replaced or deleted{kept} is named; the rest is in {where}."
        return fit(head, parts, note, limit)

    return Comment(build(COMMENT_BYTES, NAMES_BYTES), build(SUMMARY_BYTES, SUMMARY_BYTES * 3 // 4))


def cost_alone(cost: Diff, *, approved: bool = False) -> str:
    """`ha cost diff --markdown`."""
    lines = [*approval(needs_approval(cost), approved), *(f"❌ {stack_name(name)}: {GONE}" for name in cost.gone)]
    reasons = [f"- {plain(line)}" for line in lines]
    return fit(["\n".join(reasons)] if reasons else [], list(cost_of(cost, approved)), "", SUMMARY_BYTES)


def changes_alone(changes: Changes) -> str:
    """`ha diff --markdown`."""
    head = [f"Compared: {plain(changes.base)} → {plain(changes.head)}."]
    lines = [*of_changes(changes), *(f"❌ {stack_name(name)}: {GONE}" for name in changes.gone)]
    head += [f"- {plain(line)}" for line in lines]
    return fit(head, [*chain.from_iterable(map(hosts_of, changes.stacks))], "", SUMMARY_BYTES)


def _within(previews: Sequence[Preview | Missing], limit: int) -> list[Preview | Missing]:
    """The previews; one whose removals cannot all be named is missing instead."""
    found: list[Preview | Missing] = []
    for one in previews:
        if isinstance(one, Preview):
            needed = size(block(names(one)))
            if needed > limit:
                why = f"it removes {len(one.removed):,} resources, more than a comment can name; read the run's summary"
                found.append(Missing(one.stack, why))
                continue
            limit -= needed
        found.append(one)
    return found

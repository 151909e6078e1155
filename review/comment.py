"""The comment of a pull request: what the engine would do, what the hosts do, what it costs.

Its documents may come from a stranger's fork: nothing of their text is markup here. What is dangerous is never left
out; of the rest, as much as fits is shown, and the whole is in a summary beside it.

Sizes are in bytes of UTF-8, although GitHub counts characters: that is never more, whatever it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cost import diff_text
from cost.diff import APPROVAL_LABEL, GONE, Diff, StackDiff, needs_approval, of_edits, of_stack
from cost.money import signed_usd, usd, usd_or_dash
from review.document import Changes, FileDiff, HostChange, StackChange
from review.preview import Op, Preview, ResourceChange, cut, printable
from spec.markdown import code, fold, plain, plain_table

MARKER = "<!-- ha: pull request -->"
COMMENT_BYTES = 64_000  # GitHub takes 65,536 characters; who publishes it adds a few lines
SUMMARY_BYTES = 1_000_000  # GitHub takes 1 MiB a step
NAMES_BYTES = 30_000
"""What the names of all that is replaced or deleted may take. A preview with more is named, in red, and not shown."""
MOST_STACKS = 20
_VERDICT_BYTES, _MOST_VERDICTS = 300, 20
_WORST_FIRST = ("❌", "⚠️", "✅")
_WIDTH = 200  # characters of a line in a block
_DIFF_LINES = 40  # of a file, when all of it does not fit
_MARKS = {"deleted": "-", "replaced": "-", "changed": "!", "created": "+"}
_VERBS: Mapping[Op, str] = {"deleted": "deletes", "replaced": "replaces", "changed": "changes", "created": "creates"}


@dataclass(frozen=True)
class Missing:
    """A preview that there should be, and why it is not there."""

    stack: str
    why: str


@dataclass(frozen=True)
class Part:
    """A part of the comment in several lengths, the fullest first. The last one is always shown; it may be empty.

    :ivar rank: the lowest are given room first.
    """

    rank: int
    forms: tuple[str, ...]


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
    verdicts = [
        *_of_changes(changes),
        *(f"❌ {_name(name)}: {GONE}" for name in _gone(changes, cost)),
        *(_of_cost(cost, approved) if cost else _without_cost(edited or (), approved)),
    ]
    if unlisted:
        verdicts.append("❌ There is no preview: the job that lists the stacks did not succeed. Read its log.")

    def build(limit: int, names_limit: int) -> str:
        most = MOST_STACKS if limit == COMMENT_BYTES else 10 * MOST_STACKS
        shown = _within(previews[:most], names_limit)
        left_out = [f"❌ The previews of {most} stacks are shown, of {len(previews)}"] if len(previews) > most else []
        lines = [*left_out, *chain(*map(_of_preview, shown)), *verdicts]
        head = [MARKER, "## What this change does", _verdicts(lines, limit)]
        if fork:
            head.append(
                "This comes from a fork: its own code made what follows, so read its changes under `cost/` and "
                "`review/` first. A fork has no credentials, and so no preview."
            )
        elif not previews and not unlisted:
            head.append("There is no preview: none ran. Its set-up is in docs/pull-requests.md.")
        parts = [
            *(_resources(one) for one in shown if isinstance(one, Preview)),
            *(chain.from_iterable(map(_hosts, changes.stacks[:MOST_STACKS])) if changes else ()),
            *(_cost(cost, approved) if cost else ()),
        ]
        where = f"[the summary of the run]({summary_url})" if summary_url else "the summary of the run"
        kept = " in the previews shown" if left_out else ""
        note = f"**Not all of it fits here.** All that is replaced or deleted{kept} is named; the rest is in {where}."
        return _fit(head, parts, note, limit)

    return Comment(build(COMMENT_BYTES, NAMES_BYTES), build(SUMMARY_BYTES, SUMMARY_BYTES * 3 // 4))


def cost_alone(cost: Diff, *, approved: bool = False) -> str:
    """`ha cost diff --markdown`."""
    lines = [*_approval(needs_approval(cost), approved), *(f"❌ {_name(name)}: {GONE}" for name in cost.gone)]
    reasons = [f"- {plain(line)}" for line in lines]
    return _fit(["\n".join(reasons)] if reasons else [], list(_cost(cost, approved)), "", SUMMARY_BYTES)


def changes_alone(changes: Changes) -> str:
    """`ha diff --markdown`."""
    head = [f"Compared: {plain(changes.base)} → {plain(changes.head)}."]
    lines = [*_of_changes(changes), *(f"❌ {_name(name)}: {GONE}" for name in changes.gone)]
    head += [f"- {plain(line)}" for line in lines]
    return _fit(head, [*chain.from_iterable(map(_hosts, changes.stacks))], "", SUMMARY_BYTES)


def _fit(head: Sequence[str], parts: Sequence[Part], note: str, limit: int) -> str:
    """The parts in their order, each as full as there is room for. `note` is put in when one is not at its fullest."""
    chosen = [part.forms[-1] for part in parts]
    room = limit - sum(_bytes(text) + 2 for text in [*head, note, *chosen])
    for number in sorted(range(len(parts)), key=lambda n: parts[n].rank):
        for form in parts[number].forms:
            more = _bytes(form) - _bytes(chosen[number])
            if more <= room:
                chosen[number] = form
                room -= more
                break
    cut_short = any(text != part.forms[0] for text, part in zip(chosen, parts, strict=True))
    return "\n\n".join(text for text in [*head, note if cut_short else "", *chosen] if text) + "\n"


def _bytes(text: str) -> int:
    return len(text.encode())


def _within(previews: Sequence[Preview | Missing], limit: int) -> list[Preview | Missing]:
    """The previews; one whose removals cannot all be named is missing instead."""
    found: list[Preview | Missing] = []
    for one in previews:
        if isinstance(one, Preview):
            needed = _bytes(_block(_names(one)))
            if needed > limit:
                why = f"it removes {len(one.removed):,} resources, more than a comment can name; read the run's summary"
                found.append(Missing(one.stack, why))
                continue
            limit -= needed
        found.append(one)
    return found


# Verdicts: what is wrong, in a line each.


def _verdicts(found: Sequence[str], limit: int) -> str:
    """Each begins with its mark. The worst come first, so that it is the others that are left out."""
    most = _MOST_VERDICTS if limit == COMMENT_BYTES else 10 * _MOST_VERDICTS
    lines = sorted(found, key=lambda line: _WORST_FIRST.index(line.partition(" ")[0]))
    if len(lines) > most:
        lines = [*lines[: most - 1], f"❌ and {len(lines) - most + 1} more: read the run's summary"]
    return "\n".join(f"- {_cut_bytes(plain(line), _VERDICT_BYTES)}" for line in lines)


def _of_preview(found: Preview | Missing) -> Iterator[str]:
    if isinstance(found, Missing):
        yield f"❌ There is no preview of {_name(found.stack)} to show: {found.why}"
    elif found.errors:
        yield f"❌ The preview of {_name(found.stack)} failed, and what it shows is not all: {found.errors[0]}"
    elif protected := [one.name for one in found.removed if one.protected]:
        yield f"❌ {_name(found.stack)}: {_counts(found)}; these are protected: {', '.join(protected)}"
    else:
        yield f"{'⚠️' if found.removed else '✅'} {_name(found.stack)}: {_counts(found)}"


def _of_changes(changes: Changes | None) -> Iterator[str]:
    if changes is None:
        yield "❌ What the hosts do is not known: the run that compares them failed. Read its log."
        return
    if changes.base_failed:
        yield f"❌ Files and hosts are not compared: the base cannot be rendered ({changes.base_failed})"
    for stack, why in changes.unreadable.items():
        yield f"❌ {_name(stack)} cannot be rendered: {why}"
    for one in changes.stacks:
        yield from (f"❌ {_name(one.stack)}: a running estate refuses this: {why}" for why in one.refused)
    yield from (f"⚠️ {line}" for line in (changes.release, changes.program) if line)
    if len(changes.stacks) > MOST_STACKS:
        yield f"❌ Hosts of the first {MOST_STACKS} stacks alone are shown, of {len(changes.stacks)}"


def _gone(changes: Changes | None, cost: Diff | None) -> list[str]:
    return sorted({*(changes.gone if changes else ()), *(cost.gone if cost else ())})


def _without_cost(edited: Sequence[str], approved: bool) -> Iterator[str]:
    yield "❌ There is no estimate: the run that makes it failed. Read its log."
    yield from _approval(of_edits(edited), approved)


def _of_cost(cost: Diff, approved: bool) -> Iterator[str]:
    yield from _approval(needs_approval(cost), approved)
    for one in cost.stacks:
        if not one.within_budget:
            yield f"❌ {_name(one.stack)}: {diff_text.budget(one)}"
        if one.before_failed:
            yield f"❌ What {_name(one.stack)} cost before is not known: {one.before_failed}"
    if len(cost.stacks) > MOST_STACKS:
        yield f"❌ The cost of the first {MOST_STACKS} stacks alone is shown, of {len(cost.stacks)}"


def _approval(reasons: Iterable[str], approved: bool) -> list[str]:
    if approved:
        return [f"✅ Approved with the label {APPROVAL_LABEL}: {one}" for one in reasons]
    return [f"❌ A person has to agree, with the label {APPROVAL_LABEL}: {one}" for one in reasons]


# The engine's preview.


def _resources(found: Preview) -> Part:
    title = f"### Resources of {_name(found.stack)}: {_counts(found)}"
    counted = Counter(one.type for one in found.changes if one.op == "created")
    created = [one for one in found.changes if one.op == "created"]
    changed = [one for one in found.changes if one.op == "changed"]
    many = [f"+ created {count} × {type_}" for type_, count in sorted(counted.items())]
    errors = [f"error: {one}" for one in found.errors]

    def form(*lines: Iterable[str]) -> str:
        block = _block(chain(*lines))
        return f"{title}\n\n{block}" if block else title

    removed = found.removed
    return Part(
        rank=0,
        forms=(
            form(errors, *(_full(one) for one in [*removed, *changed]), map(_line, created)),
            form(errors, *(_full(one) for one in removed), [_line(one, causes=True) for one in changed], many),
            form((_line(one, causes=True) for one in [*removed, *changed]), many),
            form(_line(one, causes=True) for one in removed),
            form(_line(one) for one in removed),
            form(_names(found)),
        ),
    )


def _counts(found: Preview) -> str:
    counts = [(verb, found.count(op)) for op, verb in _VERBS.items()]
    said = [f"{verb} {count}" for verb, count in counts if count] or ["changes nothing"]
    return ", ".join([*said, "then fails"] if found.errors else said)


def _full(change: ResourceChange) -> Iterator[str]:
    yield _line(change)
    for cause in change.causes:
        path = f"      {cause.path}{' (replaces it)' if cause.replaces else ''}:"
        yield path if cause.lines else f"{path} {cause.values}"
        yield from (f"        {line}" for line in cause.lines)


def _line(change: ResourceChange, *, causes: bool = False) -> str:
    """A resource in a line. With `causes`, those that replace it, else all of them."""
    line = f"{_MARKS[change.op]} {change.op} {change.name}, {change.type}"
    line += " (protected)" if change.protected else ""
    line += " (the present one stays in AWS)" if change.kept else ""
    if causes and change.causes:
        why = [one for one in change.causes if one.replaces] or change.causes
        line += ": " + "; ".join(f"{one.path} {one.values}" for one in why[:3])
    return line


def _names(found: Preview) -> Iterator[str]:
    """Every resource that goes, by its name alone."""
    for op in ("deleted", "replaced"):
        names = [one.name for one in found.removed if one.op == op]
        if names:
            yield f"- {op}: {', '.join(names)}"


def _block(lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return code(body, "diff") if body else ""


# What the hosts do: the document of `ha diff`.


def _hosts(found: StackChange) -> Iterator[Part]:
    name = _name(found.stack)
    fates = Counter(host.fate for host in found.hosts if host.fate != "nothing")
    counted = ", ".join(f"{count} {fate}" for fate, count in fates.items()) or "nothing"
    counted = counted if found.compared else "not compared"
    title = f"### Hosts of {name}{' (a new stack)' if found.new else ''}: {plain(counted)}"
    about = []
    if found.writes_wait_ms is not None:
        about.append(f"Writes wait {found.writes_wait_ms / 1000:g} s at most, while the primary is handed over.")
    if found.settings:
        settings = [(one.name, _value(one.before), _value(one.after)) for one in found.settings]
        about.append(plain_table(("Setting", "before", "after"), settings, "lll"))
    busy = [host for host in found.hosts if host.fate != "nothing"]
    if busy:
        about.append("Hosts change one after the other, tier by tier; of a tier, the one that leads comes last.")
        hosts = [(host.name, host.fate, _doing(host)) for host in busy]
        about.append(plain_table(("Host", "fate", "how"), hosts, "lll"))
    yield Part(1, ("\n\n".join([title, *about]), title))
    for tier in found.tiers:
        packages = [f"+ {p}" for p in tier.packages_added] + [f"- {p}" for p in tier.packages_removed]
        if packages:
            yield Part(2, (fold(f"{name}, {tier.tier}: packages", _text("\n".join(packages), "diff")), ""))
        for file in tier.files:
            yield _file(f"{name}, {tier.tier}: {cut(file.path, _WIDTH)}", file)


def _file(where: str, file: FileDiff) -> Part:
    title = f"{where} ({file.change}; {cut(', '.join(file.hosts), _WIDTH)})"
    if file.omitted:
        return Part(3, (f"{plain(title)}: {plain(cut(file.omitted, _WIDTH))}", ""))
    lines = _shown(file.diff)
    short = [*lines[:_DIFF_LINES], f"… {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else lines
    return Part(3, (*dict.fromkeys(fold(title, code("\n".join(one), "diff")) for one in (lines, short)), ""))


def _doing(host: HostChange) -> str:
    steps = ["hands over first" if host.hands_over else "", *host.because]
    if host.fate == "replaced" and host.actions:
        steps.append("before that, in place")
    for action in host.actions:
        sure = "" if action.certain else "may "
        steps.append(f"{sure}{action.verb} {action.unit}")
    if host.outage:
        steps.append(f"❌ {host.outage}")
    return cut("; ".join(step for step in steps if step), 2 * _WIDTH)


def _value(given: str | None) -> str:
    return "none" if given is None else cut(given, 80)


# What it costs.


def _cost(cost: Diff, approved: bool) -> Iterator[Part]:
    rows = [_row(one, approved) for one in cost.stacks[:MOST_STACKS]]
    heads = ("Stack", "before", "after", "change", "at the base's prices", "budget", "gate")
    compared = f"Compared: {plain(cut(cost.base, 100))} → {plain(cut(cost.head, 100))}."
    yield Part(0, ("\n\n".join(["## What it costs", plain_table(heads, rows, "lrrrrrl"), compared]),))
    if cost.prices:
        yield Part(2, (fold("Prices that the change edits", _text("\n".join(diff_text.price_lines(cost)))), ""))
    for one in cost.stacks[:MOST_STACKS]:
        body = _text(f"{diff_text.stack(one)}\n\n{diff_text.KEY}")
        yield Part(2, (fold(cut(diff_text.sentence(one), 300), body), ""))


def _row(found: StackDiff, approved: bool) -> tuple[str, ...]:
    at_base = found.at_base
    holds = found.within_budget and (approved or not of_stack(found))
    if at_base is None:
        base = "-" if not found.at_base_failed else "not known"
    else:
        base = (
            usd(at_base.after_usd) if at_base.before_usd is None else signed_usd(at_base.after_usd - at_base.before_usd)
        )
    budget = usd(found.budget_usd)
    if found.budget_before_usd not in (None, found.budget_usd):
        budget = f"{usd_or_dash(found.budget_before_usd)} → {budget}"
    return (
        _name(found.stack),
        usd_or_dash(found.before_usd),
        usd(found.after_usd),
        "not known" if found.before_failed else signed_usd(found.difference_usd),
        base,
        budget,
        f"{'✅' if holds else '❌'} {diff_text.left(found)}",
    )


def _text(body: str, language: str = "text") -> str:
    return code("\n".join(_shown(body)), language)


def _shown(body: str) -> list[str]:
    """The lines of a stranger's text, without what would hide or reorder a part of them."""
    return [cut(printable(line), _WIDTH) for line in body.splitlines()]


def _name(stack: str) -> str:
    return _cut_bytes(plain(stack), 60)


def _cut_bytes(text: str, length: int) -> str:
    if _bytes(text) <= length:
        return text
    return text.encode()[: length - 3].decode(errors="ignore") + "…"

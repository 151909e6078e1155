"""The parts of a comment, each in several lengths: resources, hosts, cost. A stranger's text is no markup in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cost import diff_text
from cost.diff import Diff, StackDiff, of_stack
from cost.money import signed_usd, usd, usd_or_dash
from review.document import FileDiff, HostChange, StackChange
from review.preview import Op, Preview, ResourceChange, cut, printable
from spec.markdown import code, fold, plain, plain_table

MOST_STACKS = 20
_WIDTH = 200  # characters of a line in a block
_DIFF_LINES = 40  # of a file, when all of it does not fit
_MARKS = {"deleted": "-", "replaced": "-", "changed": "!", "created": "+"}
_VERBS: Mapping[Op, str] = {"deleted": "deletes", "replaced": "replaces", "changed": "changes", "created": "creates"}


@dataclass(frozen=True)
class Part:
    """A part of the comment in several lengths, the fullest first. The last one is always shown; it may be empty.

    :ivar rank: the lowest are given room first.
    """

    rank: int
    forms: tuple[str, ...]


def fit(head: Sequence[str], parts: Sequence[Part], note: str, limit: int) -> str:
    """The parts in their order, each as full as there is room for. `note` is put in when one is not at its fullest."""
    chosen = [part.forms[-1] for part in parts]
    room = limit - sum(size(text) + 2 for text in [*head, note, *chosen])
    for number in sorted(range(len(parts)), key=lambda n: parts[n].rank):
        for form in parts[number].forms:
            more = size(form) - size(chosen[number])
            if more <= room:
                chosen[number] = form
                room -= more
                break
    cut_short = any(text != part.forms[0] for text, part in zip(chosen, parts, strict=True))
    return "\n\n".join(text for text in [*head, note if cut_short else "", *chosen] if text) + "\n"


def size(text: str) -> int:
    return len(text.encode())


def resources(found: Preview) -> Part:
    title = f"### Resources of {stack_name(found.stack)}: {counts(found)}"
    counted = Counter(one.type for one in found.changes if one.op == "created")
    created = [one for one in found.changes if one.op == "created"]
    changed = [one for one in found.changes if one.op == "changed"]
    many = [f"+ created {count} × {type_}" for type_, count in sorted(counted.items())]
    errors = [f"error: {one}" for one in found.errors]

    def form(*lines: Iterable[str]) -> str:
        body = block(chain(*lines))
        return f"{title}\n\n{body}" if body else title

    removed = found.removed
    return Part(
        rank=0,
        forms=(
            form(errors, *(_full(one) for one in [*removed, *changed]), map(_line, created)),
            form(errors, *(_full(one) for one in removed), [_line(one, causes=True) for one in changed], many),
            form((_line(one, causes=True) for one in [*removed, *changed]), many),
            form(_line(one, causes=True) for one in removed),
            form(_line(one) for one in removed),
            form(names(found)),
        ),
    )


def counts(found: Preview) -> str:
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


def names(found: Preview) -> Iterator[str]:
    """Every resource that goes, by its name alone."""
    for op in ("deleted", "replaced"):
        names = [one.name for one in found.removed if one.op == op]
        if names:
            yield f"- {op}: {', '.join(names)}"


def block(lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return code(body, "diff") if body else ""


def hosts_of(found: StackChange) -> Iterator[Part]:
    name = stack_name(found.stack)
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


def cost_of(cost: Diff, approved: bool) -> Iterator[Part]:
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
        stack_name(found.stack),
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


def stack_name(stack: str) -> str:
    return cut_bytes(plain(stack), 60)


def cut_bytes(text: str, length: int) -> str:
    if size(text) <= length:
        return text
    return text.encode()[: length - 3].decode(errors="ignore") + "…"

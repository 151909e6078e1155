"""The document of `ha diff` as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cost.diff import GONE
from review.document import Action, Changes, FileDiff, HostChange, StackChange, TierChange
from review.preview import printable

MARKS = {"added": "+", "removed": "-", "changed": "~"}
FATES = {
    "nothing": "nothing",
    "changes": "changes in place",
    "restarts": "is stopped, changed and started",
    "replaced": "is REPLACED",
    "added": "is made",
    "removed": "is DELETED",
}


def changes(found: Changes) -> str:
    """The whole document."""
    parts = [f"What changes from {found.base} to {found.head}"]
    if found.base_failed:
        parts.append(f"The base cannot be rendered, or not all of it: {found.base_failed}")
    parts += [f"{stack}: cannot be read: {why}" for stack, why in found.unreadable.items()]
    parts += ["\n".join(_stack(one)) for one in found.stacks]
    parts += [line for line in (found.release, found.program) if line]
    parts += [f"{stack}: {GONE}" for stack in found.gone]
    # Files and their names may have characters that change what a terminal shows.
    return "\n".join(printable(line.expandtabs()) for line in "\n\n".join(parts).split("\n"))


def summary(found: StackChange) -> str:
    """A stack's change in one sentence."""
    if found.new:
        return f"{found.stack} is new: {_hosts(len(found.hosts))}"
    if not found.compared:
        return f"{found.stack} is not compared"
    counts = {fate: sum(1 for host in found.hosts if host.fate == fate) for fate in FATES}
    told = [f"{_hosts(counts[fate])} {words.removeprefix('is ')}" for fate, words in _TOLD.items() if counts[fate]]
    if not told:
        return f"{found.stack}: no host changes"
    return f"{found.stack}: {', '.join(told)}, {counts['nothing']} untouched"


_TOLD = {
    "replaced": "REPLACED",
    "removed": "DELETED",
    "restarts": "stopped and started",
    "added": "made",
    "changes": "changed in place",
}


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def _stack(found: StackChange) -> Iterator[str]:
    yield summary(found)
    yield from (f"  REFUSED at preview: {why}" for why in found.refused)
    yield from (f"  {one.name}: {one.before or '-'} → {one.after or '-'}" for one in found.settings)
    if found.new:
        return
    changed = [host for host in found.hosts if host.fate != "nothing"]
    if changed:
        yield "  Hosts, one after the other; of a tier, the one that leads comes last:"
        width = max(len(host.name) for host in changed)
        yield from (f"    {host.name:<{width}}  {host_line(host)}" for host in changed)
    if (wait := writes_wait(found)) is not None:
        yield f"  {wait}"
    for tier in found.tiers:
        yield ""
        yield from _tier(tier)


def writes_wait(found: StackChange) -> str | None:
    """How long writes may wait, in a sentence; None: they do not."""
    if found.writes_wait_ms is None:
        return None
    return f"Writes may wait up to {found.writes_wait_ms / 1000:.1f} s while another database host becomes primary."


def host_line(host: HostChange) -> str:
    """What a host does, on one line."""
    parts = [FATES[host.fate]]
    if host.because:
        parts.append(f"({', '.join(host.because)})")
    if host.fate == "changes" and not host.because:
        parts = [] if host.actions else ["gets files; nothing restarts"]
    if host.fate == "replaced" and host.hands_over:
        parts.append("after it handed over")
    text = " ".join(parts)
    told = "; ".join(action(one) for one in host.actions)
    if host.fate == "replaced" and told:
        told = f"before that, in place: {told}"
    text = f"{text}; {told}" if text and told else text or told
    return f"{text}. Meanwhile {host.outage}" if host.outage else text


def action(one: Action) -> str:
    """What happens to a service."""
    verb = f"{one.verb}s" if one.certain else f"may {one.verb}"
    first = ", handing over or draining first" if one.hands_over and one.verb == "restart" else ""
    return f"{one.unit} {verb}{first} ({', '.join(one.because)})"


def _tier(found: TierChange) -> Iterator[str]:
    yield f"  Files of {found.tier}:"
    if found.packages_added:
        yield f"  needs packages that hosts may lack: {', '.join(found.packages_added)}"
    if found.packages_removed:
        yield f"  no longer needs: {', '.join(found.packages_removed)}"
    for file in found.files:
        yield f"  {MARKS[file.change]} {file.path} on {', '.join(file.hosts)}"
        yield from file_diff(file)


def file_diff(file: FileDiff) -> Iterator[str]:
    """The lines of a file's diff, or why there are none."""
    if file.omitted:
        yield f"    ({file.omitted})"
    else:
        yield from file.diff.splitlines()[2:]

"""The files of a tier that differ, as unified diffs. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from review.document import FileDiff, TierChange
from review.rendered import File, Host
from spec.tiers import Tier

USER_DATA: Final = "user data"
PACKAGES: Final = "/usr/local/lib/ha/packages"
LONGEST_FILE: Final = 200_000
"""Characters of a file that is compared line by line: more takes seconds, and nobody reads it."""


def tier_change(
    tier: Tier, before: Mapping[str, Host], after: Mapping[str, Host], order: Sequence[str]
) -> TierChange | None:
    """The files that differ on hosts that are on both sides; None: none does.

    :param order: the hosts of the tier on both sides, in the order in which they change.
    """
    hosts_of: dict[tuple[str, str, str, str], list[str]] = {}
    for name in order:
        for key in _differences(before[name], after[name]):
            hosts_of.setdefault(key, []).append(name)
    if not hosts_of:
        return None
    files = [
        FileDiff(path=path, change=_change(change), hosts=hosts, diff=diff, omitted=omitted)
        for (path, change, diff, omitted), hosts in hosts_of.items()
    ]
    files.sort(key=lambda file: (file.path, order.index(file.hosts[0])))
    old = {name for host in order for name in _packages(before[host])}
    new = {name for host in order for name in _packages(after[host])}
    return TierChange(tier=tier, files=files, packages_added=sorted(new - old), packages_removed=sorted(old - new))


def changed_paths(before: Host, after: Host) -> set[str]:
    """The paths of a host's files that differ, also in whether they are executable."""
    return {
        path for path in before.files.keys() | after.files.keys() if before.files.get(path) != after.files.get(path)
    }


def _change(word: str) -> Literal["added", "removed", "changed"]:
    return "added" if word == "added" else "removed" if word == "removed" else "changed"


def _packages(host: Host) -> list[str]:
    listed = host.files.get(PACKAGES)
    return listed.content.split() if listed else []


def _differences(before: Host, after: Host) -> Iterator[tuple[str, str, str, str]]:
    """Path, kind of change, diff, and why there is none."""
    if before.user_data != after.user_data:
        yield USER_DATA, "changed", *_diff(USER_DATA, _text(before.user_data), _text(after.user_data))
    for path in sorted(changed_paths(before, after)):
        old, new = before.files.get(path), after.files.get(path)
        change = "added" if old is None else "removed" if new is None else "changed"
        yield path, change, *_diff(path, old, new)


def _text(content: str) -> File:
    return File(content=content, executable=False)


def _diff(path: str, old: File | None, new: File | None) -> tuple[str, str]:
    longest = max(len(side.content) for side in (old, new) if side)
    if longest > LONGEST_FILE:
        return "", f"{longest} characters: too long to be compared line by line"
    if old and new and old.content == new.content:
        return "", f"it becomes {'' if new.executable else 'not '}executable"
    lines = difflib.unified_diff(
        old.content.splitlines() if old else [],
        new.content.splitlines() if new else [],
        path if old else "/dev/null",
        path if new else "/dev/null",
        lineterm="",
    )
    return "\n".join(lines), ""

"""The archive's segments as runs without a gap, which is how `ha-backups` names them. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_FILE = re.compile(r"(?:^|/)([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?$")


def runs(files: Mapping[str, Mapping[str, Any]], segment_bytes: int) -> list[dict[str, Any]]:
    """[{"first": NAME, "last": NAME, "archived": when the last one was uploaded}, ...], by timeline and position.

    :param files: what `pgbackrest repo-ls --recurse --output=json archive/STANZA` prints: by name, with or without
        folders, {"time": seconds since 1970}. What is no whole segment is left out.
    """
    found: list[dict[str, Any]] = []
    for name, archived in sorted(_segments(files)):
        if found and _next(found[-1]["last"], segment_bytes) == name:
            found[-1] |= {"last": name, "archived": archived}
        elif not found or found[-1]["last"] != name:
            found.append({"first": name, "last": name, "archived": archived})
    return found


def _segments(files: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, int]]:
    for path, file in files.items():
        if segment := _FILE.search(path):
            yield segment[1], int(file["time"])


def _next(name: str, segment_bytes: int) -> str:
    """The name of the segment after one, on the same timeline."""
    timeline, log, segment = name[:8], int(name[8:16], 16), int(name[16:], 16) + 1
    if segment == 2**32 // segment_bytes:
        log, segment = log + 1, 0
    return f"{timeline}{log:08X}{segment:08X}"

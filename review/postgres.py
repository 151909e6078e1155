"""Which settings of PostgreSQL need a restart."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_SETTING = re.compile(r"^\s*([a-z_.]+)\s*=?\s*(.*?)\s*$", re.MULTILINE)


@cache
def needs_restart() -> frozenset[str]:
    """The names that PostgreSQL 17 itself lists with the context `postmaster` (`postgres --describe-config`)."""
    return frozenset(Path(__file__).with_name("postmaster_settings.txt").read_text(encoding="utf-8").split())


def restart_settings(before: str, after: str) -> set[str]:
    """The settings of a configuration file that differ and need a restart."""
    old, new = (dict(_SETTING.findall(text)) for text in (before, after))
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} & needs_restart()

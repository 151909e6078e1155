"""What a comparison found, as a document, in folders beside those of the drills' own results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from drills import documents
from drills.results import Machine, Outcome


class Entry(BaseModel):
    """A contender: its Debian packages, and the settings that decide how long its failover takes."""

    model_config = ConfigDict(frozen=True)
    name: str
    title: str
    packages: tuple[str, ...]
    settings: Mapping[str, int]


class PeerOutcome(BaseModel):
    """One fault on one contender. `unfinished` says why there is no outcome; the contender is then begun anew."""

    model_config = ConfigDict(frozen=True)
    contender: str
    fault: str
    outcome: Outcome | None = None
    unfinished: str = ""


class Comparison(BaseModel):
    """The document of `ha drill peers --json`: contenders on the same hosts, one after the other, in one run."""

    command: str = "ha --lab drill peers"
    """What made it."""
    stack: str
    at: datetime
    commit: str
    machine: Machine
    contenders: list[Entry]
    outcomes: list[PeerOutcome]

    def without_timelines(self) -> dict[str, Any]:
        """What a reader of a terminal wants of it."""
        return self.model_dump(mode="json", exclude={"outcomes": {"__all__": {"outcome": {"timeline"}}}})

    def keep(self, folder: Path) -> Path:
        """Writes what there is so far to the run's file, and returns that."""
        return documents.write(self, folder / self.stack / f"{self.at:%Y%m%dT%H%M%SZ}.json")


def kept_comparisons(folder: Path) -> list[Comparison]:
    """All comparisons of a folder, in both forms, oldest first. :raises HaError: at something that is not one."""
    kind = TypeAdapter(Comparison)
    found = documents.read_all(folder, "*/*.json", kind)
    found += [one for path in sorted(folder.glob("*.jsonl")) for one in documents.read_lines(path, kind)]
    return sorted(found, key=lambda one: one.at)

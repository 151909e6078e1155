"""What a drill found, as a document. A user's runs are a file each; a published campaign is a file of JSON lines."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter

from drills import documents
from spec.project import REPOSITORY

_BIN_S = 0.25
_MOST_BINS = 720


class Machine(BaseModel):
    """What it ran on."""

    model_config = ConfigDict(frozen=True)
    cpus: int
    memory_mib: int
    kernel: str


class Timeline(BaseModel):
    """The load in slices of `bin_s` seconds, from the moment of the fault on, and who accepted writes then."""

    model_config = ConfigDict(frozen=True)
    bin_s: float
    good: tuple[int, ...]
    failed: tuple[int, ...]
    max_latency_s: tuple[float, ...]
    accepting: Mapping[str, tuple[tuple[float, float], ...]]
    healed_s: float


class Update(BaseModel):
    """One `up`. `touched`: the hosts that it told to change, or that booted meanwhile; `said`: its progress."""

    model_config = ConfigDict(frozen=True)
    seconds: float
    error: str
    """Why it failed; empty when it succeeded."""
    touched: tuple[str, ...]
    said: tuple[str, ...]


class ChangeRun(BaseModel):
    """The two updates of a change drill: `applied` the change, `returned` the checkout after it."""

    model_config = ConfigDict(frozen=True)
    applied: Update
    returned: Update


class RestoreRun(BaseModel):
    """A restore beside the running database, held against the ledger. Writes are those of the load.

    `backup`: the one that it began with. `missing`: acknowledged before the target `to`, and not there;
    `after_and_there`: sent after it, and there. `rpo_s`: from the newest acknowledged write before the target that is
    there to the target, 0 when none is missing. `rto_s`: how long the restore took, with its host's boot.
    """

    model_config = ConfigDict(frozen=True)
    to: str
    backup: str
    restored_rows: int
    acknowledged_before: int
    missing: int
    sent_after: int
    after_and_there: int
    rpo_s: float
    rto_s: float


class RecoveryRun(BaseModel):
    """What a recovery drill did; null what it does not do.

    `backup_s`: how long its own backup took. `waiting_segments` of WAL at the end of the time without the archive,
    `caught_up_s` after it none any more (null too when that took too long).
    """

    model_config = ConfigDict(frozen=True)
    backup_s: float | None = None
    restore: RestoreRun | None = None
    waiting_segments: int | None = None
    caught_up_s: float | None = None


class _Run(BaseModel):
    """What is known of every run. `fault` is the drill's name."""

    model_config = ConfigDict(frozen=True)
    fault: str
    stack: str
    at: datetime
    commit: str
    machine: Machine
    timers: Mapping[str, int]
    since_fixed: int | None = None
    """The number of the decision that fixed what broke this run. Such a run is named in reports, and not counted."""

    @property
    def file_name(self) -> str:
        return f"{self.fault}-{self.at:%Y%m%dT%H%M%SZ}.json"


class Unfinished(_Run):
    """A run that failed before there was anything to measure, or before it could be; `unfinished` says why."""

    unfinished: str
    kept: Literal[False] = False


class Outcome(_Run):
    """One run of a drill: the document of `ha drill run --json`, which is a list of them. Times in seconds.

    `target`: the hosts that it hit. `failed_idempotent` counts reads, and writes under a
    key by which they are stored once; null in results from before it was counted. `redundant_again_s` counts from the
    fault's healing; null when redundancy did not come back.
    """

    target: str
    outage_s: float
    read_outage_s: float
    requests: int
    failed: int
    failed_reads: int
    failed_idempotent: int | None = None
    failures: Mapping[str, int] = {}
    """How many requests failed in which way; older results do not say."""
    last_failed_s: float | None = None
    """How long after the fault the last request began that failed; null when none did; older results do not say."""
    signed_out: int | None = None
    """How many requests found their session gone; older results do not say."""
    max_latency_s: float
    acknowledged: int
    lost: int
    doubled: int
    unanswered: int
    two_primaries: bool
    redundant_again_s: float | None
    held_s: float | None = None
    """How long the fault lasted; older results do not say."""
    paged_s: float | None = None
    """When the first page had come; null when none had, or nobody looked."""
    failovers: int | None = None
    """How often the failover monitor had a node take over; null when it could not be asked."""
    departures: tuple[str, ...] | None = None
    """Each time that it told a node to be neither primary nor secondary."""
    change: ChangeRun | None = None
    """Of a drill that changes what the estate runs."""
    recovery: RecoveryRun | None = None
    """Of a drill of backups and restores."""
    promise: str
    kept: bool
    broken: tuple[str, ...]
    timeline: Timeline | None = None
    """Null in published results."""


Result: TypeAlias = Outcome | Unfinished
_READER: TypeAdapter[Result] = TypeAdapter(Result)


def bin_width_s(seconds: float) -> float:
    """How long a slice of a timeline is: a quarter of a second, and longer where a run would have too many."""
    return max(_BIN_S, seconds / _MOST_BINS)


def this_machine() -> Machine:
    """The machine that this runs on."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return Machine(cpus=os.cpu_count() or 1, memory_mib=memory, kernel=platform.release())


def this_commit() -> str:
    """The checkout's commit, with `+` when files differ from it; `unknown` outside a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    # Pages and published results do not change what is measured.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return f"{commit}{'+' if changed else ''}" if commit else "unknown"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def keep(result: Result, folder: Path) -> Path:
    """Adds a result to the folder of its stack; returns its file."""
    return documents.write(result, folder / result.stack / result.file_name)


def publish(results: Iterable[Result], path: Path) -> Path:
    """Writes results as JSON lines without timelines, oldest first; returns the file."""
    ordered = sorted(results, key=lambda one: (one.at, one.fault))
    return documents.write_lines((one.model_dump_json(exclude={"timeline"}) for one in ordered), path)


def kept_results(place: Path, stack: str | None = None) -> list[Result]:
    """All results of a folder, in both forms, or of one file of JSON lines; by stack and drill, oldest first.

    :raises HaError: at something that is not a result.
    """
    if place.is_file():
        found = documents.read_lines(place, _READER)
    else:
        found = documents.read_all(place, f"{stack or '*'}/*.json", _READER)
        found += [one for path in sorted(place.glob("*.jsonl")) for one in documents.read_lines(path, _READER)]
    wanted = (one for one in found if stack in (None, one.stack))
    return sorted(wanted, key=lambda one: (one.stack, one.fault, one.at))

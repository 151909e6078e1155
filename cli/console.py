"""The output of `ha`: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lab.engine import Changes
    from lab.lab import HostPhase
    from ops.status import BackupStatus, Status

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
NARROW = 7
"""So many characters of a digest fit a table: as many as git shows of a commit."""


def step(text: str) -> None:
    """Print one step of long work."""
    err.print(f"· {text}", markup=False)


class Progress:
    """The progress of long work: a live display on a terminal, a line for each change elsewhere."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._began = time.monotonic()
        self._heading = ""
        self._seen: dict[str, str] = {}

    def step(self, text: str) -> None:
        self._heading = text
        self._say(text)

    def count(self, done: int, latest: str) -> None:
        """Show how many items are done, and the latest of them."""
        if self._live:
            self._live.update(Text(f"· {self._heading}: {done} done, {latest}"))

    def phases(self, phases: Sequence[HostPhase]) -> None:
        """Show the progress of each host."""
        if self._live:
            self._live.update(Group(Text(f"· {self._heading} ({self._elapsed()})"), phase_table(phases)))
            return
        for phase in phases:
            now = f"{phase.stage} {phase.step}".strip()
            if self._seen.get(phase.name) != now:
                self._seen[phase.name] = now
                self._say(f"{phase.name}: {now}")

    def _say(self, text: str) -> None:
        line = f"· [{self._elapsed()}] {text}"
        if self._live:
            self._live.console.print(line, markup=False)
        else:
            err.print(line, markup=False)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s"


@contextmanager
def progress() -> Iterator[Progress]:
    """A `Progress` for the length of the block."""
    if not err.is_terminal:
        yield Progress(None)
        return
    with Live(console=err, transient=True, refresh_per_second=4) as live:
        yield Progress(live)


def print_json(document: object) -> None:
    """Print one JSON document, a model or plain data, on standard output."""
    text = document.model_dump_json(indent=2) if isinstance(document, BaseModel) else json.dumps(document, indent=2)
    sys.stdout.write(f"{text}\n")


def phase_table(phases: Sequence[HostPhase]) -> Table:
    shown = table("host", "address", "stage", "step", "since boot")
    for phase in phases:
        latest = max(phase.stages_s.values(), default=0.0)
        shown.add_row(phase.name, phase.address, phase.stage, phase.step, f"{latest:.0f} s")
    return shown


def print_phases(phases: Sequence[HostPhase]) -> None:
    out.print(phase_table(phases))


def print_changes(changes: Changes) -> None:
    """Print a preview: each resource that would change, and how."""
    for change in changes.resources:
        out.print(f"{change.op:8} {change.type} {change.name}", markup=False, soft_wrap=True)
        for one in change.properties:
            out.print(f"           {one.path}: {_short(one.old)} -> {_short(one.new)}", markup=False, soft_wrap=True)
    out.print(f"{len(changes.resources)} to change, {changes.same} unchanged" if changes else "no change", markup=False)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def print_status(status: Status) -> None:
    """Print the state of an estate as text."""
    shown = table("host", "role", "zone", "address", "runs", "state", "")
    for host in status.hosts:
        state = "healthy" if host.healthy else host.state
        role = f"{host.role}{_part(status, host.name)}"
        runs = " ".join(digest[:NARROW] for digest in (host.bundle, host.release) if digest)
        shown.add_row(host.name, role, host.zone, host.address, runs, state, host.detail)
    out.print(shown)
    database = status.database
    lag = "" if database.lag_bytes is None else f", {database.lag_bytes} bytes behind"
    pair = f"primary {database.primary or 'none'}, standby {database.standby or 'none'}"
    out.print(f"\ndatabase: {pair} ({database.replication}{lag})", markup=False)
    if status.backups:
        out.print(f"backups:  {_backups_in_words(status.backups)}", markup=False, soft_wrap=True)
    if status.load_balancer.maintenance:
        out.print(f"visitors: {status.load_balancer.maintenance}", markup=False, soft_wrap=True)
    for host in status.hosts:
        if host.console:
            out.print(f"console of {host.name} ({host.instance_id}):", markup=False)
        for line in host.console:
            out.print(f"    {line}", markup=False, soft_wrap=True)
    for problem in status.problems:
        out.print(f"problem:  {problem}", markup=False)
    verdict = "healthy" if status.healthy else "NOT healthy"
    out.print(f"{status.stack} on {status.target}: {verdict}  {status.url or ''}", markup=False)


def _backups_in_words(told: BackupStatus) -> str:
    age_s = None if told.newest is None else max(0, int((datetime.now(UTC) - told.newest).total_seconds()))
    newest = "none" if age_s is None else f"the newest began {duration(age_s)} ago"
    if told.waiting_segments is None:
        return newest
    since = f", the first for {duration(told.waiting_s)}" if told.waiting_segments and told.waiting_s else ""
    return f"{newest}; {told.waiting_segments} segments of WAL wait for the archive{since}"


def duration(seconds: float) -> str:
    """A duration for a person: 5.9 s, 4 min 12 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours = minutes // 60
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def table(*columns: str) -> Table:
    """A table whose first column is never wrapped: its names are typed elsewhere."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=number == 0)
    return made


def _part(status: Status, host: str) -> str:
    if host == status.database.primary:
        return ", primary"
    return ", standby" if host == status.database.standby else ""

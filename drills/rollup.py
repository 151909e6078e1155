"""Results rolled up: one row a class of fault. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drills import promises
from drills.catalogue import CATALOGUE
from drills.measure import percentile
from drills.promises import P95_RUNS, Promise, p95_broken
from drills.results import Machine, Outcome, Result, Unfinished

HEADINGS: Final = ("class of fault", "the guide", "promise", "runs", "median", "worst", "lost", "kept")
ALIGN: Final = "lllrrrrl"
"""Of the columns, as `spec.markdown.table` takes it."""
_MARKS = "¹²³⁴⁵⁶⁷⁸⁹"


@dataclass(frozen=True)
class FaultClass:
    """Drills that do the same kind of harm, or of change. `promise` is the one that most of them make."""

    name: str
    prefixes: tuple[str, ...]
    """How the names of its drills begin. The longest prefix that fits a drill decides."""
    promise: Promise

    def figure_s(self, one: Outcome) -> float:
        """How long the fault was felt: what the promise limits, or else the longest time without a write."""
        return one.max_latency_s if self.by_slowest else one.outage_s

    @property
    def by_slowest(self) -> bool:
        """Whether the promise limits the slowest answer, and not an outage."""
        return self.promise.outage_s is None and self.promise.max_latency_s is not None

    @property
    def limit_s(self) -> float | None:
        """The promise in seconds; None when it is not about time."""
        return self.promise.max_latency_s if self.by_slowest else self.promise.outage_s


CLASSES: Final = (
    FaultClass("application", ("app-",), promises.APPLICATION),
    FaultClass("database: crash, hang, partition", ("db-", "standby-"), promises.DATABASE),
    FaultClass("database: planned switchover", ("db-switchover",), promises.SWITCHOVER),
    FaultClass("load balancer", ("lb-",), promises.LOAD_BALANCER),
    FaultClass("Redis", ("cache-",), promises.CACHE),
    FaultClass("monitor, NAT gateway", ("monitor-", "nat-"), promises.UNNOTICED),
    FaultClass("loss of a zone", ("zone-",), promises.ZONE),
    FaultClass("change of configuration or release", ("change-",), promises.CHANGE),
    FaultClass("backups and restores", ("restore-", "backup-", "archive-"), promises.RESTORED),
    FaultClass("soak: stress, no fault", ("soak",), promises.SOAK),
)
_BY_PREFIX: Final = {prefix: one for one in CLASSES for prefix in one.prefixes}


def class_of(drill: str) -> FaultClass | None:
    """A drill's class, by its name; None for a name that is not of any."""
    fitting = [prefix for prefix in _BY_PREFIX if drill.startswith(prefix)]
    return _BY_PREFIX[max(fitting, key=len)] if fitting else None


def title(one: Result) -> str:
    """The drill's name; a fault that was held for less long than the drill says is named with its time."""
    return f"{one.fault}, {one.held_s:.0f} s" if isinstance(one, Outcome) and cut_short(one) else one.fault


def cut_short(one: Result) -> bool:
    """Whether the fault was held for less long than the drill says (`--hold-s`)."""
    drill = CATALOGUE.get(one.fault)
    if drill is None or isinstance(one, Unfinished) or one.held_s is None or drill.promise.paged_s is not None:
        return False
    return one.held_s < drill.hold_s


def current(results: Sequence[Result]) -> list[Result]:
    """Those with the timers of each stack's newest result, without those whose cause is since fixed: other figures
    are not of what is shipped.
    """
    newest = {one.stack: one.timers for one in sorted(results, key=lambda one: one.at)}
    return [one for one in results if one.since_fixed is None and one.timers == newest[one.stack]]


def numbered(results: Sequence[Result]) -> dict[Machine, int]:
    """A number for each machine, in the order in which they came: times of one say little of another's."""
    machines = dict.fromkeys(one.machine for one in sorted(results, key=lambda one: one.at))
    return {one: number for number, one in enumerate(machines, start=1)}


@dataclass(frozen=True)
class OtherPromise:
    """Drills of a class that make another promise than most of it."""

    promise: Promise
    drills: tuple[str, ...]
    runs: tuple[Outcome, ...]


@dataclass(frozen=True)
class Row:
    """The runs of one class of fault."""

    fault_class: FaultClass
    results: tuple[Result, ...]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(one for one in self.results if isinstance(one, Outcome))

    @property
    def promise(self) -> Promise:
        return self.fault_class.promise

    @property
    def kept(self) -> int:
        return sum(one.kept for one in self.results)

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.outcomes)

    @property
    def figures_s(self) -> list[float]:
        return [self.fault_class.figure_s(one) for one in self.outcomes]

    def other_promises(self) -> list[OtherPromise]:
        """In the order in which they come in the catalogue."""
        found: dict[Promise, list[Outcome]] = {}
        for one in self.outcomes:
            promise = promise_of(one)
            if promise is not None and promise != self.promise:
                found.setdefault(promise, []).append(one)
        order = list(CATALOGUE)
        return [
            OtherPromise(promise, tuple(sorted({one.fault for one in runs}, key=order.index)), tuple(runs))
            for promise, runs in found.items()
        ]

    def p95_series(self) -> tuple[int, int]:
        """Of how many repeats of a drill on one machine the promised 95th percentile was judged, and kept by."""
        series: dict[tuple[str, Machine], list[float]] = {}
        for one in self.outcomes:
            if promise_of(one) == self.promise and self.promise.p95_outage_s is not None:
                series.setdefault((one.fault, one.machine), []).append(one.outage_s)
        judged = [outages for outages in series.values() if len(outages) >= P95_RUNS]
        return len(judged), sum(not p95_broken(self.promise, outages) for outages in judged)


def promise_of(one: Result) -> Promise | None:
    """What the drill promises today; None for a drill that is not there any more."""
    drill = CATALOGUE.get(one.fault)
    if drill and drill.promise_alone and isinstance(one, Outcome) and one.promise == drill.promise_alone.text:
        return drill.promise_alone
    return drill.promise if drill else None


@dataclass(frozen=True)
class Rollup:
    """All classes of fault on one stack, those without a run too."""

    rows: tuple[Row, ...]
    left_out: tuple[str, ...]
    """What is not counted, and why, in words."""

    def table(self) -> list[tuple[str, ...]]:
        """The headings, then a row for each class. A mark leads to a note."""
        marks = iter(_MARKS)
        return [HEADINGS, *(_cells(row, marks) for row in self.rows)]

    def notes(self) -> list[str]:
        """What the marks and columns mean, a sentence or two each."""
        marks = iter(_MARKS)
        found = [
            f"{next(marks)} {', '.join(f'`{name}`' for name in one.drills)}: {one.promise.text}."
            for row in self.rows
            for one in row.other_promises()
        ]
        slowest = ", ".join(f'"{row.fault_class.name}"' for row in self.rows if row.fault_class.by_slowest)
        found.append(
            "Median and worst are the longest time without an acknowledged write, or, where that is what the promise "
            f"limits, the slowest answer ({slowest}). "
            f"p95 is judged over {P95_RUNS} runs or more of one drill on one machine."
        )
        if self.left_out:
            found.append(f"Not counted: {'; '.join(self.left_out)}.")
        return found


def rollup(results: Sequence[Result]) -> Rollup:
    """The rows of one stack's results."""
    counted = [one for one in current(results) if not cut_short(one)]
    of_class = {one: tuple(run for run in counted if class_of(run.fault) == one) for one in CLASSES}
    return Rollup(tuple(Row(one, runs) for one, runs in of_class.items()), tuple(_left_out(results)))


def _left_out(results: Sequence[Result]) -> Iterator[str]:
    fixed = [one for one in results if one.since_fixed is not None]
    shown = current(results)
    short = [one for one in shown if cut_short(one)]
    if fixed:
        losses = [one.lost for one in fixed if isinstance(one, Outcome) and one.lost]
        also = f" ({len(losses)} of them lost {sum(losses)} acknowledged writes)" if losses else ""
        yield f"{_runs(len(fixed))} with a broken promise whose cause is since fixed{also}"
    if others := len(results) - len(fixed) - len(shown):
        yield f"{_runs(others)} with other timers"
    if short:
        yield f"{_runs(len(short))} cut short"
    if unknown := sum(class_of(one.fault) is None for one in shown):
        yield f"{_runs(unknown)} of drills that are not in any class"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _cells(row: Row, marks: Iterator[str]) -> tuple[str, ...]:
    others = [(next(marks), one) for one in row.other_promises()]
    figures = row.figures_s
    worst = max(row.outcomes, key=row.fault_class.figure_s, default=None)
    of_worst = "".join(mark for mark, one in others if worst in one.runs)
    return (
        row.fault_class.name,
        row.promise.guide,
        row.promise.text + "".join(f" {mark}" for mark, _ in others),
        str(len(row.results)),
        f"{percentile(figures, 50):.1f} s" if figures else "",
        f"{max(figures):.1f} s{f' {of_worst}' if of_worst else ''}" if figures else "",
        str(row.lost) if figures else "",
        _kept(row),
    )


def _kept(row: Row) -> str:
    if not row.results:
        return ""
    said = [f"{row.kept} of {len(row.results)}"]
    if unfinished := len(row.results) - len(row.outcomes):
        said.append(f"{unfinished} without an outcome")
    judged, kept = row.p95_series()
    if judged:
        said.append(f"p95 in {kept} of {judged}")
    return ", ".join(said)

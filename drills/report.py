"""Results as Markdown tables against the guide's figures and our promises. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from drills.measure import percentile
from drills.probe import EVERY_S
from drills.promises import P95_RUNS, p95_broken
from drills.results import ChangeRun, Outcome, RecoveryRun, Result, Unfinished
from drills.rollup import ALIGN, class_of, current, cut_short, numbered, promise_of, rollup, title
from spec.markdown import table

HEADINGS = (
    *("drill", "runs", "writes out: best", "median", "p95", "worst", "reads out", "failed requests", "failed reads"),
    *("slowest", "lost", "two primaries", "failovers", "redundant again", "the guide", "promise", "kept"),
)
UPDATE_HEADINGS = (
    *("drill", "machine", "runs", "`up` took: median", "worst", "hosts touched", "it failed with"),
    *("next `up`: worst", "hosts touched"),
)
RECOVERY_HEADINGS = (
    *("drill", "machine", "runs", "RPO: worst", "RTO: median", "worst", "acknowledged before", "missing"),
    *("after it and there", "backup took: worst", "segments that waited", "archived after: worst"),
)
BROKEN_HEADINGS = ("drill", "when", "machine", "what broke the promise", "counted above")
NO_RESULTS = "There are no results here yet: run a drill (`ha --lab drill run NAME...`)."
OTHER_DRILLS = "other drills"
Decision = Callable[[int], str]


@dataclass(frozen=True)
class Section:
    """The drills of one class: a row for each, and for each machine where there are several machines."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Spread:
    """The runs of one drill, as the table's row shows them."""

    results: Sequence[Result]

    @property
    def outcomes(self) -> list[Outcome]:
        return [one for one in self.results if isinstance(one, Outcome)]

    def verdict(self) -> str:
        """How many runs kept the promise. A run without an outcome says nothing of the 95th percentile."""
        promise = promise_of(self.results[0])
        said = [f"{sum(one.kept for one in self.results)} of {len(self.results)}"]
        if unfinished := len(self.results) - len(self.outcomes):
            said.append(f"{unfinished} without an outcome")
        if promise and p95_broken(promise, [one.outage_s for one in self.outcomes]):
            said.append("p95 broken")
        if cut_short(self.results[0]):
            said.append("cut short")
        return ", ".join(said)

    def cells(self) -> tuple[str, ...]:
        runs = self.outcomes
        if not runs:
            return (title(self.results[0]), str(len(self.results)), *[""] * (len(HEADINGS) - 3), self.verdict())
        outages = [one.outage_s for one in runs]
        again = [one.redundant_again_s for one in runs]
        promise = promise_of(runs[0])
        return (
            title(runs[0]),
            str(len(self.results)),
            *(f"{value:.1f} s" for value in (min(outages), *(percentile(outages, n) for n in (50, 95)), max(outages))),
            f"{max(one.read_outage_s for one in runs):.1f} s",
            f"{max(one.failed for one in runs)} of {max(one.requests for one in runs)}",
            str(max(one.failed_reads for one in runs)),
            f"{max(one.max_latency_s for one in runs):.1f} s",
            str(sum(one.lost for one in runs)),
            "yes" if any(one.two_primaries for one in runs) else "never",
            _most(one.failovers for one in runs),
            "not in time" if None in again else f"{max(one for one in again if one is not None):.0f} s",
            promise.guide if promise else "",
            runs[0].promise,
            self.verdict(),
        )


def _most(counts: Iterable[int | None]) -> str:
    known = [one for one in counts if one is not None]
    return str(max(known)) if known else ""


def sections(results: Sequence[Result]) -> list[Section]:
    """Every drill of one stack, by class of fault."""
    shown = current(results)
    numbers = numbered(results)
    groups: dict[tuple[str, str, int], list[Result]] = {}
    for one in shown:
        found = class_of(one.fault)
        key = (found.name if found else OTHER_DRILLS, title(one), numbers[one.machine])
        groups.setdefault(key, []).append(one)
    several = len({one.machine for one in shown}) > 1
    headings = (HEADINGS[0], "machine", *HEADINGS[1:]) if several else HEADINGS
    rows: dict[str, list[tuple[str, ...]]] = {row.fault_class.name: [] for row in rollup(results).rows}
    for (name, _, number), runs in sorted(groups.items(), key=lambda item: item[0]):
        first, *rest = Spread(runs).cells()
        rows.setdefault(name, []).append((first, str(number), *rest) if several else (first, *rest))
    return [Section(name, headings, tuple(cells)) for name, cells in rows.items() if cells]


def updates(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """What the `up`s of each change drill did; the hosts and the failure are those of its last run."""
    numbers = numbered(results)
    runs: dict[tuple[str, int], list[ChangeRun]] = {}
    for one in sorted(current(results), key=lambda one: (one.fault, one.at)):
        if isinstance(one, Outcome) and one.change:
            runs.setdefault((one.fault, numbers[one.machine]), []).append(one.change)
    rows: list[tuple[str, ...]] = []
    for (name, number), changes in runs.items():
        last, took = changes[-1], [one.applied.seconds for one in changes]
        rows.append(
            (
                *(name, str(number), str(len(changes)), f"{percentile(took, 50):.0f} s", f"{max(took):.0f} s"),
                *(", ".join(last.applied.touched), " ".join(last.applied.error.split())[:300]),
                *(f"{max(one.returned.seconds for one in changes):.0f} s", ", ".join(last.returned.touched)),
            )
        )
    return rows


def recoveries(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """What came back in each recovery drill, and when; a cell is empty where the drill does not do that."""
    numbers = numbered(results)
    found: dict[tuple[str, int], list[RecoveryRun]] = {}
    for one in sorted(current(results), key=lambda one: (one.fault, one.at)):
        if isinstance(one, Outcome) and one.recovery:
            found.setdefault((one.fault, numbers[one.machine]), []).append(one.recovery)
    rows: list[tuple[str, ...]] = []
    for (name, number), runs in found.items():
        restores = [one.restore for one in runs if one.restore]
        took = [one.rto_s for one in restores]
        rows.append(
            (
                *(name, str(number), str(len(runs)), _worst((one.rpo_s for one in restores), 1)),
                *(f"{percentile(took, 50):.0f} s" if took else "", _worst(took)),
                str(sum(one.acknowledged_before for one in restores)) if restores else "",
                str(sum(one.missing for one in restores)) if restores else "",
                str(sum(one.after_and_there for one in restores)) if restores else "",
                *(_worst(one.backup_s for one in runs), _most(one.waiting_segments for one in runs)),
                _worst(one.caught_up_s for one in runs),
            )
        )
    return rows


def _worst(seconds: Iterable[float | None], digits: int = 0) -> str:
    known = [one for one in seconds if one is not None]
    return f"{max(known):.{digits}f} s" if known else ""


def provenance(results: Sequence[Result]) -> str:
    """On which stacks, commits and machines it was measured, and how finely."""
    shown = current(results)
    if not shown:
        return "No run is counted."
    stacks = ", ".join(sorted({one.stack for one in shown}))
    commits = ", ".join(sorted({one.commit for one in shown}))
    numbers = {one: number for one, number in numbered(results).items() if any(run.machine == one for run in shown)}
    machines = " and ".join(
        f"{f'machine {number}: ' if len(numbers) > 1 else ''}{one.cpus} CPUs, {one.memory_mib} MiB, Linux {one.kernel}"
        for one, number in numbers.items()
    )
    return (
        f"{len(shown)} runs of the stack {stacks} on {machines}; commits {commits}. Figures are the worst of a drill's "
        f"runs unless said; p95 is judged from {P95_RUNS} runs on, and is the worst of fewer than twenty. Two "
        f"primaries: each running node that is not in standby mode was asked for a commit every {EVERY_S:g} s."
    )


def reasons(results: Sequence[Result]) -> list[tuple[str, str]]:
    """The promises that come with a reason for what they are, and that reason; of the drills that are shown."""
    shown = [promise for one in current(results) if (promise := promise_of(one)) is not None]
    return list(dict.fromkeys((one.text, one.reason) for one in shown if one.reason))


def broken(results: Sequence[Result], decision: Decision = "decision {}".format) -> list[tuple[str, ...]]:
    """Each run that broke its promise, oldest first, also those that no figure counts.

    :param decision: how a decision is named, by its number.
    """
    numbers = numbered(results)
    counted = current(results)
    return [
        (
            one.fault,
            f"{one.at:%Y-%m-%d %H:%M} UTC",
            str(numbers[one.machine]),
            one.unfinished if isinstance(one, Unfinished) else "; ".join(one.broken),
            "yes" if one in counted else _why_not(one, decision),
        )
        for one in sorted(results, key=lambda one: one.at)
        if not one.kept
    ]


def _why_not(one: Result, decision: Decision) -> str:
    return "no, with other timers" if one.since_fixed is None else f"no, since fixed: {decision(one.since_fixed)}"


def by_stack(results: Sequence[Result]) -> dict[str, list[Result]]:
    return {stack: [one for one in results if one.stack == stack] for stack in sorted({one.stack for one in results})}


def markdown(results: Sequence[Result], decision: Decision = "decision {}".format) -> str:
    """All tables, for each stack.

    :param decision: how a decision is named, by its number.
    """
    if not results:
        return NO_RESULTS + "\n"
    return "\n\n".join(_stack(stack, of_stack, decision) for stack, of_stack in by_stack(results).items()) + "\n"


def _stack(stack: str, results: Sequence[Result], decision: Decision) -> str:
    head, *rows = (found := rollup(results)).table()
    parts = [f"## Stack {stack}", table(head, rows, ALIGN), bullets(found.notes()), paragraph(provenance(results))]
    for one in sections(results):
        parts += [f"### {one.name[0].upper()}{one.name[1:]}", table(one.headings, one.rows)]
    if rows_of_updates := updates(results):
        parts += ["### What the updates did", table(UPDATE_HEADINGS, rows_of_updates)]
    if rows_of_recoveries := recoveries(results):
        parts += ["### What came back", table(RECOVERY_HEADINGS, rows_of_recoveries)]
    if whys := reasons(results):
        parts += ["### Why these promises", bullets(f"*{promise}*: {reason}" for promise, reason in whys)]
    if failures := broken(results, decision):
        parts += ["### Broken promises, run by run", table(BROKEN_HEADINGS, failures)]
    return "\n\n".join(parts)


def paragraph(text: str, indent: str = "") -> str:
    """Text in lines of a page's width; `indent` begins each but the first."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def bullets(items: Iterable[str]) -> str:
    return "\n".join(paragraph(f"- {item}", "  ") for item in items)

"""Comparisons as Markdown tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drills.measure import percentile
from drills.peers.contenders import CONTENDERS, OURS
from drills.peers.results import Comparison, Entry, PeerOutcome
from drills.report import bullets, paragraph
from drills.results import Outcome
from spec.markdown import table
from spec.timers import Timers

NO_RESULTS = "There are no comparisons here yet: run `ha --lab drill peers`."
_HEADINGS = (
    *("fault", "contender", "runs", "writes out: median", "worst", "failed requests", "slowest"),
    *("lost", "two primaries", "redundant again", "promised of ours"),
)


@dataclass(frozen=True)
class _Cell:
    """What one fault did to one contender."""

    runs: Sequence[PeerOutcome]

    @property
    def outcomes(self) -> list[Outcome]:
        return [one.outcome for one in self.runs if one.outcome is not None]

    @property
    def unfinished(self) -> int:
        return len(self.runs) - len(self.outcomes)

    def brief(self) -> str:
        """Its worst outage, and what is worse than an outage."""
        if not self.runs:
            return ""
        if not self.outcomes:
            return "no outcome"
        said = [f"{max(one.outage_s for one in self.outcomes):.1f} s"]
        if lost := sum(one.lost for one in self.outcomes):
            said.append(f"{lost} lost")
        if any(one.two_primaries for one in self.outcomes):
            said.append("two primaries")
        if self.unfinished:
            said.append(f"{self.unfinished} without an outcome")
        return ", ".join(said)

    def cells(self) -> tuple[str, ...]:
        runs = str(len(self.runs)) + (f", {self.unfinished} without an outcome" if self.unfinished else "")
        if not self.outcomes:
            return (runs, *[""] * (len(_HEADINGS) - 3))
        outages = [one.outage_s for one in self.outcomes]
        again = [one.redundant_again_s for one in self.outcomes]
        return (
            runs,
            f"{percentile(outages, 50):.1f} s",
            f"{max(outages):.1f} s",
            f"{max(one.failed for one in self.outcomes)} of {max(one.requests for one in self.outcomes)}",
            f"{max(one.max_latency_s for one in self.outcomes):.1f} s",
            str(sum(one.lost for one in self.outcomes)),
            "yes" if any(one.two_primaries for one in self.outcomes) else "never",
            "not in time" if None in again else f"{max(one for one in again if one is not None):.0f} s",
            self.outcomes[0].promise,
        )


def current(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those in which ours was set as in the newest."""
    newest = next((settings for one in reversed(comparisons) if (settings := _ours(one)) is not None), None)
    return [one for one in comparisons if _ours(one) in (None, newest)]


def _ours(comparison: Comparison) -> Mapping[str, int] | None:
    return next((entry.settings for entry in comparison.contenders if entry.name == OURS.name), None)


def markdown(found: Sequence[Comparison]) -> str:
    """The worst outages side by side, all figures, and what each contender was set to."""
    comparisons = current(found)
    if not comparisons:
        return NO_RESULTS + "\n"
    titles = _titles(comparisons)
    faults = _faults(comparisons)
    side_by_side = [(_fault(fault), *(_cell(comparisons, fault, name).brief() for name in titles)) for fault in faults]
    figures = [
        (_fault(fault), title, *cell.cells())
        for fault in faults
        for name, title in titles.items()
        if (cell := _cell(comparisons, fault, name)).runs
    ]
    unfinished = [
        f"No outcome of {_fault(run.fault)} on {titles[run.contender]}: {' '.join(run.unfinished.split())}"
        for one in comparisons
        for run in one.outcomes
        if run.outcome is None
    ]
    entries = {entry.name: entry for one in comparisons for entry in one.contenders}
    set_to = [(title, ", ".join(entries[name].packages), _settings(entries[name])) for name, title in titles.items()]
    parts = [
        table(("writes out, at worst", *titles.values()), side_by_side),
        table(_HEADINGS, figures),
        *([bullets(unfinished)] if unfinished else []),
        paragraph(_provenance(comparisons)),
        table(("contender", "packages", "settings"), set_to),
    ]
    return "\n\n".join(parts) + "\n"


def _settings(entry: Entry) -> str:
    return ", ".join(f"`{key}` {value}" for key, value in entry.settings.items())


def _titles(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Contenders by name in the order of `CONTENDERS`; after them those that are no longer there."""
    found = {entry.name: entry.title for one in comparisons for entry in one.contenders}
    order = list(CONTENDERS)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _faults(comparisons: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(run.fault for one in comparisons for run in one.outcomes))


def _fault(drill: str) -> str:
    return drill.removeprefix("db-")


def _cell(comparisons: Sequence[Comparison], fault: str, contender: str) -> _Cell:
    return _Cell(
        [run for one in comparisons for run in one.outcomes if (run.fault, run.contender) == (fault, contender)]
    )


def _provenance(comparisons: Sequence[Comparison]) -> str:
    runs = [run for one in comparisons for run in one.outcomes]
    commits = ", ".join(sorted({one.commit for one in comparisons}))
    machines = ", ".join(
        sorted({f"{o.machine.cpus} CPUs, {o.machine.memory_mib} MiB, Linux {o.machine.kernel}" for o in comparisons})
    )
    commands = ", ".join(dict.fromkeys(f"`{one.command}`" for one in comparisons))
    return (
        f"{len(runs)} faults in {len(comparisons)} run{'s' if len(comparisons) > 1 else ''} of {commands} "
        f"on {machines}; commits {commits}. Figures are the worst unless said.{_outdated(comparisons)}"
    )


def _outdated(comparisons: Sequence[Comparison]) -> str:
    measured = [settings for one in comparisons if (settings := _ours(one)) is not None]
    if all(one == OURS.figures(Timers()) for one in measured):
        return ""
    return " Ours was measured with other timers than today's."

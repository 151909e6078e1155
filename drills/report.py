"""Results as a table against the guide's, in Markdown and as one HTML page with a timeline for each fault. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drills.catalogue import CATALOGUE
from drills.measure import percentile
from drills.results import Outcome
from drills.svg import timeline_svg

HEADINGS = (
    *("drill", "runs", "writes out: median", "p95", "worst", "reads out", "failed requests", "failed reads"),
    *("slowest", "lost", "two primaries", "failovers", "redundant again", "the guide", "promise", "kept"),
)
NO_RESULTS = "No drill has been run yet: `ha --lab drill run NAME...`."


@dataclass(frozen=True)
class Spread:
    """The runs of one drill, as the table's row shows them."""

    outcomes: Sequence[Outcome]

    @property
    def kept(self) -> int:
        return sum(one.kept for one in self.outcomes)

    def p95_broken(self) -> bool:
        """Whether the promise about the 95th percentile is broken; one that was given up since promises nothing."""
        drill = CATALOGUE.get(self.outcomes[0].fault)
        limit = drill.promise.p95_outage_s if drill else None
        return limit is not None and percentile([one.outage_s for one in self.outcomes], 95) > limit

    def cells(self) -> tuple[str, ...]:
        runs = self.outcomes
        outages = [one.outage_s for one in runs]
        again = [one.redundant_again_s for one in runs]
        drill = CATALOGUE.get(runs[0].fault)
        verdict = f"{self.kept} of {len(runs)}" + (", p95 broken" if self.p95_broken() else "")
        return (
            title(runs[0]),
            str(len(runs)),
            *(f"{value:.1f} s" for value in (percentile(outages, 50), percentile(outages, 95), max(outages))),
            f"{max(one.read_outage_s for one in runs):.1f} s",
            f"{max(one.failed for one in runs)} of {max(one.requests for one in runs)}",
            str(max(one.failed_reads for one in runs)),
            f"{max(one.max_latency_s for one in runs):.1f} s",
            str(sum(one.lost for one in runs)),
            "yes" if any(one.two_primaries for one in runs) else "never",
            _most(one.failovers for one in runs),
            "not in time" if None in again else f"{max(one for one in again if one is not None):.0f} s",
            drill.promise.guide if drill else "",
            runs[0].promise,
            verdict,
        )


def title(one: Outcome) -> str:
    """The drill's name; a fault that was held for less than the drill says is another row."""
    drill = CATALOGUE.get(one.fault)
    if drill is None or one.held_s is None or one.held_s >= drill.hold_s or drill.promise.paged_s is not None:
        return one.fault
    return f"{one.fault}, {one.held_s:.0f} s"


def _most(counts: Iterable[int | None]) -> str:
    known = [one for one in counts if one is not None]
    return str(max(known)) if known else ""


def spreads(outcomes: Sequence[Outcome]) -> list[Spread]:
    """One for each fault of each stack."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.stack, title(one)), []).append(one)
    return [Spread(groups[key]) for key in sorted(groups)]


def provenance(outcomes: Sequence[Outcome]) -> str:
    """On which commits and machines it was measured."""
    commits = ", ".join(sorted({one.commit for one in outcomes}))
    machines = ", ".join(
        sorted({f"{o.machine.cpus} CPUs, {o.machine.memory_mib} MiB, Linux {o.machine.kernel}" for o in outcomes})
    )
    return (
        f"{len(outcomes)} runs on {machines}; commits {commits}. Figures are the worst of a drill's runs unless said."
    )


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table for README and reports."""
    if not outcomes:
        return NO_RESULTS + "\n"
    lines = [_row(HEADINGS), _row(["---"] * len(HEADINGS)), *(_row(one.cells()) for one in spreads(outcomes))]
    return "\n".join([*lines, "", provenance(outcomes)]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; font-size: 13px; } td, th { border: 1px solid #d0d7de; padding: .25rem .5rem; }
.scroll { overflow-x: auto; } .broken { color: #b42318; }
h3 { margin-bottom: 0; } p.note { margin-top: 0; color: #57606a; }
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """One HTML file that needs nothing else: the table, then a timeline of each run."""
    head = "".join(f"<th>{html.escape(one)}</th>" for one in HEADINGS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in one.cells()) + "</tr>" for one in spreads(outcomes)
    )
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Drills</title>',
        f"<style>{_STYLE}</style><h1>Drills</h1>",
        f"<p>{html.escape(provenance(outcomes) if outcomes else NO_RESULTS)}</p>",
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>',
    ]
    for one in outcomes:
        verdict = "kept" if one.kept else f'<span class="broken">broken: {html.escape("; ".join(one.broken))}</span>'
        parts.append(f"<h3>{html.escape(one.fault)} on {html.escape(one.target)}</h3>")
        parts.append(f'<p class="note">{one.stack}, {one.at:%Y-%m-%d %H:%M} UTC, {verdict}</p>{timeline_svg(one)}')
    return "\n".join(parts) + "</html>\n"

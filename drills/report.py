"""Results as a table against the guide's, in Markdown and as one HTML page with a timeline for each fault. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drills.catalogue import CATALOGUE
from drills.measure import percentile
from drills.probe import EVERY_S
from drills.promises import P95_RUNS, p95_broken
from drills.results import Machine, Outcome, Result, Unfinished
from drills.svg import LEGEND, timeline_svg

HEADINGS = (
    *("drill", "runs", "writes out: best", "median", "p95", "worst", "reads out", "failed requests", "failed reads"),
    *("slowest", "lost", "two primaries", "failovers", "redundant again", "the guide", "promise", "kept"),
)
NO_RESULTS = "No drill has been run yet: `ha --lab drill run NAME...`."


@dataclass(frozen=True)
class Spread:
    """The runs of one drill, as the table's row shows them."""

    results: Sequence[Result]

    @property
    def outcomes(self) -> list[Outcome]:
        return [one for one in self.results if isinstance(one, Outcome)]

    def verdict(self) -> str:
        """How many runs kept the promise. One that was given up since promises nothing of the 95th percentile."""
        drill = CATALOGUE.get(self.results[0].fault)
        said = [f"{sum(one.kept for one in self.results)} of {len(self.results)}"]
        if unfinished := len(self.results) - len(self.outcomes):
            said.append(f"{unfinished} without an outcome")
        if drill and p95_broken(drill.promise, [one.outage_s for one in self.outcomes]):
            said.append("p95 broken")
        if title(self.results[0]) != self.results[0].fault:
            said.append("cut short")
        return ", ".join(said)

    def cells(self) -> tuple[str, ...]:
        runs = self.outcomes
        if not runs:
            return (title(self.results[0]), str(len(self.results)), *[""] * (len(HEADINGS) - 3), self.verdict())
        outages = [one.outage_s for one in runs]
        again = [one.redundant_again_s for one in runs]
        drill = CATALOGUE.get(runs[0].fault)
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
            drill.promise.guide if drill else "",
            runs[0].promise,
            self.verdict(),
        )


def title(one: Result) -> str:
    """The drill's name; a fault that was held for less than the drill says is another row."""
    drill = CATALOGUE.get(one.fault)
    if (
        drill is None
        or isinstance(one, Unfinished)
        or one.held_s is None
        or one.held_s >= drill.hold_s
        or drill.promise.paged_s is not None
    ):
        return one.fault
    return f"{one.fault}, {one.held_s:.0f} s"


def _most(counts: Iterable[int | None]) -> str:
    known = [one for one in counts if one is not None]
    return str(max(known)) if known else ""


def current(results: Sequence[Result]) -> list[Result]:
    """Those with the timers of each stack's newest result: figures of others are not of what is shipped."""
    newest = {one.stack: one.timers for one in sorted(results, key=lambda one: one.at)}
    return [one for one in results if one.timers == newest[one.stack]]


def numbered(results: Sequence[Result]) -> dict[Machine, int]:
    """A number for each machine, in the order in which they came: times of one say little of another's."""
    machines = dict.fromkeys(one.machine for one in sorted(results, key=lambda one: one.at))
    return {one: number for number, one in enumerate(machines, start=1)}


def table(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """The headings, then a row for each fault; for each fault and machine where there are several machines."""
    shown = current(results)
    numbers = numbered(shown)
    groups: dict[tuple[str, int], list[Result]] = {}
    for one in shown:
        groups.setdefault((title(one), numbers[one.machine]), []).append(one)
    cells = [(number, Spread(groups[name, number]).cells()) for name, number in sorted(groups)]
    if len(numbers) == 1:
        return [HEADINGS, *(row for _, row in cells)]
    return [(HEADINGS[0], "machine", *HEADINGS[1:]), *((row[0], str(number), *row[1:]) for number, row in cells)]


def provenance(results: Sequence[Result]) -> str:
    """On which stacks, commits and machines it was measured, and how finely."""
    shown = current(results)
    stacks = ", ".join(sorted({one.stack for one in shown}))
    commits = ", ".join(sorted({one.commit for one in shown}))
    numbers = numbered(shown)
    machines = " and ".join(
        f"{f'machine {number}: ' if len(numbers) > 1 else ''}{one.cpus} CPUs, {one.memory_mib} MiB, Linux {one.kernel}"
        for one, number in numbers.items()
    )
    older = f"; {len(results) - len(shown)} of other timers are left out" if len(shown) < len(results) else ""
    return (
        f"{len(shown)} runs of the stack {stacks} on {machines}; commits {commits}{older}. Figures are the worst of a "
        f"drill's runs unless said; p95 is judged from {P95_RUNS} runs on, and is the worst of fewer than twenty. Two "
        f"primaries: each running node that is not in standby mode was asked for a commit every {EVERY_S:g} s."
    )


def reasons(results: Sequence[Result]) -> list[tuple[str, str]]:
    """The promises that come with a reason for what they are, and that reason; of the drills that are shown."""
    shown = [CATALOGUE[one.fault].promise for one in current(results) if one.fault in CATALOGUE]
    return list(dict.fromkeys((one.text, one.reason) for one in shown if one.reason))


def _by_stack(results: Sequence[Result]) -> dict[str, list[Result]]:
    return {stack: [one for one in results if one.stack == stack] for stack in sorted({one.stack for one in results})}


def markdown(results: Sequence[Result]) -> str:
    """The table for README and reports; one for each stack."""
    if not results:
        return NO_RESULTS + "\n"
    parts = []
    for of_stack in _by_stack(results).values():
        head, *body = table(of_stack)
        rows = [_row(head), _row(["---"] * len(head)), *(_row(cells) for cells in body)]
        whys = [f"- *{promise}*: {reason}" for promise, reason in reasons(of_stack)]
        parts.append("\n".join([*rows, "", provenance(of_stack), *(["", *whys] if whys else [])]))
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; font-size: 13px; } td, th { border: 1px solid #d0d7de; padding: .25rem .5rem; }
.scroll { overflow-x: auto; } .broken { color: #b42318; }
h3 { margin-bottom: 0; } p.note { margin-top: 0; color: #57606a; }
"""


def _table(results: Sequence[Result]) -> str:
    headings, *body = table(results)
    head = "".join(f"<th>{html.escape(one)}</th>" for one in headings)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in body)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def page(results: Sequence[Result]) -> str:
    """One HTML file that needs nothing else: the table, then a timeline of each run."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Drills</title>',
        f"<style>{_STYLE}</style><h1>Drills</h1>",
        *([] if results else [f"<p>{html.escape(NO_RESULTS)}</p>"]),
    ]
    for stack, of_stack in _by_stack(results).items():
        parts += [f"<h2>{html.escape(stack)}</h2>", f"<p>{html.escape(provenance(of_stack))}</p>", _table(of_stack)]
        parts += [f"<p><em>{html.escape(text)}</em>: {html.escape(why)}</p>" for text, why in reasons(of_stack)]
    parts.append(f"<h2>Timelines</h2><p>{LEGEND}</p>")
    for one in current(results):
        if isinstance(one, Unfinished):
            parts.append(f"<h3>{html.escape(one.fault)}</h3>")
            parts.append(f'<p class="note">{one.stack}, {one.at:%Y-%m-%d %H:%M} UTC, <span class="broken">no outcome: ')
            parts.append(f"{html.escape(one.unfinished)}</span></p>")
            continue
        verdict = "kept" if one.kept else f'<span class="broken">broken: {html.escape("; ".join(one.broken))}</span>'
        parts.append(f"<h3>{html.escape(one.fault)} on {html.escape(one.target)}</h3>")
        parts.append(f'<p class="note">{one.stack}, {one.at:%Y-%m-%d %H:%M} UTC, {verdict}</p>{timeline_svg(one)}')
    return "\n".join(parts) + "</html>\n"

"""Results as one HTML page that needs no other file: a picture, a row a class, then everything else folded. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from drills import report
from drills.overview import legend, overview_svg
from drills.results import Outcome, Result
from drills.rollup import current, rollup
from drills.svg import timeline_svg


@dataclass(frozen=True)
class _Run:
    """A run with its timeline."""

    title: str
    verdict: str
    kept: bool
    svg: str


def page(results: Sequence[Result]) -> str:
    """`ha drill report --html`: a part for each stack."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("report.html.j2").render(
        no_results=report.NO_RESULTS,
        legend=legend(),
        stacks=[_stack(stack, of_stack) for stack, of_stack in report.by_stack(results).items()],
    )


def _code(text: str) -> Markup:
    """What is between backticks in Markdown, as HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _stack(stack: str, results: Sequence[Result]) -> dict[str, object]:
    found = rollup(results)
    headings, *rows = found.table()
    shown = current(results)
    runs = [run for one in shown if isinstance(one, Outcome) and (run := _run(one)) is not None]
    return {
        "name": stack,
        "overview": overview_svg(found),
        "headings": headings,
        "rows": rows,
        "notes": found.notes(),
        "provenance": report.provenance(results),
        "sections": report.sections(results),
        "update_headings": [one.replace("`", "") for one in report.UPDATE_HEADINGS],
        "updates": report.updates(results),
        "reasons": report.reasons(results),
        "broken_headings": report.BROKEN_HEADINGS,
        "broken": report.broken(results),
        "runs": runs,
        "without_timeline": len(shown) - len(runs),
    }


def _run(one: Outcome) -> _Run | None:
    if one.timeline is None:
        return None
    return _Run(
        title=f"{one.fault} on {one.target}, {one.at:%Y-%m-%d %H:%M} UTC: writes out {one.outage_s:.1f} s",
        verdict="kept" if one.kept else f"broken: {'; '.join(one.broken)}",
        kept=one.kept,
        svg=timeline_svg(one.timeline, f"Timeline of {one.fault} on {one.target}"),
    )

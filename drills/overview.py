"""One picture of all results of a stack: each class of fault as a lane on a logarithmic axis of seconds. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator

from drills.results import Outcome
from drills.rollup import Rollup, Row, promise_of
from drills.svg import RULE, SOFT, rule, text, whole

KEPT, BROKEN, PROMISE, GUIDE = "#0969da", "#cf222e", "#1a7f37", "#9a6700"
_FROM_S, _TO_S = 0.1, 500.0
_TICKS_S = (0.1, 0.3, 1, 3, 10, 30, 100, 300)
_FONT, _AXIS, _LANE = 13, 24, 92
_DOTS_TOP, _DOTS, _RADIUS = 46, 34, 3.5
_SPREAD = (math.sqrt(5) - 1) / 2
"""The fractional parts of its multiples lie evenly in [0, 1), so that dots do not hide each other."""


def overview_svg(found: Rollup) -> str:
    """Runs as dots; the guide's figures and the promises as marks."""
    bottom = _AXIS + _LANE * len(found.rows)
    parts = [rule(_at(one), _AXIS, _at(one), bottom, RULE) for one in _TICKS_S]
    for y in (14, bottom + 18):
        parts += [text(_at(one), y, f"{one:g} s", anchor="middle", fill=SOFT) for one in _TICKS_S]
    for number, row in enumerate(found.rows):
        parts += _lane(row, _AXIS + number * _LANE)
    said = "; ".join(f"{row.fault_class.name}: {_said(row)}" for row in found.rows)
    return whole(parts, bottom + _AXIS, f"Runs by class of fault, on a logarithmic axis of seconds. {said}.", _FONT)


def legend() -> list[tuple[str, str]]:
    """Each kind of mark as a small picture of its own, and what it means."""
    dot = '<circle cx="7" cy="8" r="4" '
    line = '<line x1="7" y1="0" x2="7" y2="16" stroke-width="2.5" '
    marks = {
        f'{dot}fill="{KEPT}" fill-opacity=".6"/>': "a run that kept its promise",
        f'{dot}fill="{BROKEN}"/>': "a run that broke it",
        f'{dot}fill="#fff" stroke="{KEPT}" stroke-width="1.5"/>': "a run under another promise (see the notes)",
        f'{line}stroke="{PROMISE}"/>': "our promise",
        f'{line}stroke="{PROMISE}" stroke-dasharray="3 3"/>': "promised for 95 of 100 runs",
        f'{line}stroke="{GUIDE}"/>': "the guide's figure",
    }
    return [(f'<svg width="14" height="16" aria-hidden="true">{mark}</svg>', said) for mark, said in marks.items()]


def _at(seconds: float) -> float:
    """Where that is on the axis, in percent; what is beyond the axis is at its end. The outer labels need room."""
    inside = min(max(seconds, _FROM_S), _TO_S)
    return 4 + 92 * math.log(inside / _FROM_S) / math.log(_TO_S / _FROM_S)


def _said(row: Row) -> str:
    if not row.figures_s:
        return "no runs"
    return f"{len(row.results)} runs, at most {max(row.figures_s):.1f} s, {row.kept} kept the promise"


def _lane(row: Row, top: int) -> Iterator[str]:
    kept = f"{row.kept} of {len(row.results)} kept" if row.results else "no runs"
    yield rule(0, top, 100, top, RULE)
    yield text(0, top + 20, row.fault_class.name, weight=600)
    yield text(100, top + 20, kept, anchor="end", fill=SOFT if row.kept == len(row.results) else BROKEN)
    yield text(0, top + 37, row.promise.text, fill=SOFT, size=12)
    if row.promise.guide_s is not None:
        yield text(100, top + 37, f"guide: {row.promise.guide_s:g} s", anchor="end", fill=GUIDE, size=12)
    upper, lower = top + _DOTS_TOP, top + _DOTS_TOP + _DOTS
    for number, one in enumerate(sorted(row.outcomes, key=lambda one: (not one.kept, one.at))):
        yield _dot(row, one, upper + _RADIUS + (number * _SPREAD % 1) * (_DOTS - 2 * _RADIUS))
    limits = {row.fault_class.limit_s, *(one.promise.outage_s for one in row.other_promises())}
    for limit in sorted(one for one in limits if one is not None):
        yield _mark(limit, upper, lower, PROMISE)
    if row.promise.p95_outage_s is not None:
        yield _mark(row.promise.p95_outage_s, upper, lower, PROMISE, ' stroke-dasharray="3 3"')
    if row.promise.guide_s is not None:
        yield _mark(row.promise.guide_s, upper, lower, GUIDE)


def _mark(seconds: float, upper: float, lower: float, colour: str, more: str = "") -> str:
    return rule(_at(seconds), upper - 3, _at(seconds), lower + 3, colour, f' stroke-width="2.5"{more}')


def _dot(row: Row, one: Outcome, y: float) -> str:
    seconds = row.fault_class.figure_s(one)
    verdict = "kept" if one.kept else f"broken: {'; '.join(one.broken)}"
    about = html.escape(f"{one.fault}, {one.at:%Y-%m-%d %H:%M} UTC: {seconds:.1f} s, {verdict}")
    colour = KEPT if one.kept else BROKEN
    look = f'fill="{colour}"' + (' fill-opacity="0.5"' if one.kept else "")
    if promise_of(one) != row.promise:
        look = f'fill="#fff" stroke="{colour}" stroke-width="1.5"'
    return f'<circle cx="{_at(seconds):.2f}%" cy="{y:.1f}" r="{_RADIUS}" {look}><title>{about}</title></circle>'

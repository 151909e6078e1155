"""Parts of a picture in SVG, and the timeline of one run. Pure.

Places along the horizontal are percentages, so that a picture takes the width that there is while its text keeps its
size.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drills.results import Timeline

INK, SOFT, RULE = "#1f2328", "#59636e", "#d8dee6"
GOOD, FAILED, LATENCY, FAULT, WRITER = "#2da44e", "#cf222e", "#0969da", "#ffe2c6", "#8250df"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True)
class _Size:
    """Of a timeline, in pixels."""

    font: int
    rate: int
    latency: int
    writer: int


_ON_PAGE = _Size(font=13, rate=90, latency=56, writer=10)
_IN_FILE = _Size(font=18, rate=130, latency=80, writer=16)
_FILE_WIDTH, _MARGIN, _TITLE = 860, 26, 66


def timeline_svg(line: Timeline, label: str) -> str:
    """The timeline of a run, as wide as the place that it is put in.

    :param label: what the picture shows, for those who do not see it.
    """
    parts, height = _timeline(line, _ON_PAGE)
    return whole(parts, height, label, _ON_PAGE.font)


def timeline_file(line: Timeline, title: str, subtitle: str, until_s: float) -> str:
    """A file of its own, legible on any background: the first `until_s` seconds of a run under a title."""
    parts, height = _timeline(_cut(line, until_s), _IN_FILE)
    all_of_it = height + _TITLE + 2 * _MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(title)}" '
            f'width="{_FILE_WIDTH}" height="{all_of_it}" viewBox="0 0 {_FILE_WIDTH} {all_of_it}" '
            f'font-family="{FONT}" font-size="{_IN_FILE.font}">',
            f'<rect width="{_FILE_WIDTH}" height="{all_of_it}" rx="10" fill="#ffffff" stroke="{RULE}"/>',
            f'<text x="{_MARGIN}" y="{_MARGIN + 20}" font-size="22" font-weight="600" fill="{INK}">'
            f"{html.escape(title)}</text>",
            f'<text x="{_MARGIN}" y="{_MARGIN + 48}" fill="{SOFT}">{html.escape(subtitle)}</text>',
            f'<svg x="{_MARGIN}" y="{_MARGIN + _TITLE}" width="{_FILE_WIDTH - 2 * _MARGIN}" height="{height}" '
            'overflow="visible">',
            *parts,
            "</svg>",
            "</svg>\n",
        )
    )


def _cut(line: Timeline, until_s: float) -> Timeline:
    bins = math.ceil(until_s / line.bin_s)
    return line.model_copy(
        update={
            "good": line.good[:bins],
            "failed": line.failed[:bins],
            "max_latency_s": line.max_latency_s[:bins],
        }
    )


def _timeline(line: Timeline, size: _Size) -> tuple[list[str], int]:
    """The parts of the picture, from the fault at 0 s on, and its height."""
    seconds = len(line.good) * line.bin_s
    ended = [good + failed for good, failed in zip(line.good, line.failed, strict=True)]
    most, slowest = max(1, *ended), max(0.1, *line.max_latency_s)
    caption = round(size.font * 1.9)

    def x(moment: float) -> float:
        return 100 * min(max(moment, 0.0), seconds) / seconds

    def heading(y: int, name: str, colour: str, left: float = 0) -> str:
        swatch = f'<rect x="{left}%" y="{y - size.font + 3}" width="{size.font - 3}" height="{size.font - 3}" '
        return f'{swatch}fill="{colour}"/>' + text(left, y, name, dx=size.font + 3)

    y = caption
    parts = [heading(y, "answered", GOOD), heading(y, "failed", FAILED, 31)]
    parts.append(text(100, y, f"up to {most / line.bin_s:.0f} requests/s", anchor="end", fill=SOFT))
    y += size.font // 2
    parts.append(steps(ended, most, y, size.rate, FAILED))
    parts.append(steps(line.good, most, y, size.rate, GOOD))
    y += size.rate
    parts.append(rule(0, y, 100, y, SOFT))
    y += caption
    parts.append(heading(y, "slowest answer", LATENCY))
    parts.append(text(100, y, f"up to {slowest:.1f} s", anchor="end", fill=SOFT))
    y += size.font // 2
    parts.append(steps(line.max_latency_s, slowest, y, size.latency, LATENCY))
    y += size.latency
    parts.append(rule(0, y, 100, y, SOFT))
    for host, spans in sorted(line.accepting.items()):
        y += caption
        until = max((end for _, end in spans), default=0.0)
        parts.append(heading(y, f"{host} accepts writes{'' if until > 0 else ', not after the fault'}", WRITER))
        y += size.font // 2
        parts += [box(x(begin), y, x(end) - x(begin), size.writer, WRITER) for begin, end in spans if x(end) > x(begin)]
        y += size.writer
    y += caption
    parts.append(heading(y, f"the fault, {_healed(line, seconds)}", FAULT))
    y += size.font // 2
    parts.insert(0, box(0, 0, x(line.healed_s), y, FAULT, opacity=0.45))
    parts.append(rule(0, y, 100, y, SOFT))
    step = next((one for one in _STEPS_S if seconds / one <= 8), _STEPS_S[-1])
    for at in range(0, int(seconds) + 1, step):
        anchor = "start" if at == 0 else "end" if x(at) > 96 else "middle"
        parts.append(rule(x(at), y, x(at), y + 5, SOFT))
        parts.append(text(x(at), y + size.font + 8, f"{at} s", anchor=anchor, fill=SOFT))
    y += size.font + 8 + caption
    parts.append(text(0, y, "seconds since the fault", fill=SOFT))
    return parts, y + size.font // 2


def _healed(line: Timeline, seconds: float) -> str:
    if line.healed_s >= seconds:
        return "not healed yet"
    return f"healed after {line.healed_s:.0f} s" if line.healed_s >= 0.5 else "over at once"


def whole(parts: Sequence[str], height: int, label: str, font: int) -> str:
    """A picture that is as wide as the place that it is put in."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(label)}" width="100%" '
        f'height="{height}" font-family="{FONT}" font-size="{font}" overflow="visible">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def text(
    x: float,
    y: float,
    said: str,
    *,
    anchor: str = "start",
    fill: str = INK,
    weight: int | None = None,
    size: int | None = None,
    dx: float = 0,
) -> str:
    """`x` in percent, `y` and `dx` in pixels."""
    more = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (f' dx="{dx:g}"' if dx else "")
    more += (f' font-weight="{weight}"' if weight else "") + (f' font-size="{size}"' if size else "")
    return f'<text x="{x:.2f}%" y="{y:g}" fill="{fill}"{more}>{html.escape(said)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, stroke: str, more: str = "") -> str:
    """A line; `x1` and `x2` in percent."""
    return f'<line x1="{x1:.2f}%" y1="{y1:g}" x2="{x2:.2f}%" y2="{y2:g}" stroke="{stroke}"{more}/>'


def box(x: float, y: float, width: float, height: float, fill: str, opacity: float = 1) -> str:
    """A rectangle; `x` and `width` in percent."""
    more = f' fill-opacity="{opacity:g}"' if opacity != 1 else ""
    return f'<rect x="{x:.2f}%" y="{y:g}" width="{width:.2f}%" height="{height:g}" fill="{fill}"{more}/>'


def steps(values: Sequence[float], most: float, y: float, height: float, fill: str) -> str:
    """Bars side by side over the whole width, the value `most` as high as `height`."""
    path = "".join(f"V{round(most - value, 2):g}H{number}" for number, value in enumerate(values, start=1))
    return (
        f'<svg y="{y:g}" width="100%" height="{height:g}" viewBox="0 0 {len(values)} {most:g}" '
        f'preserveAspectRatio="none"><path d="M0 {most:g}{path}V{most:g}z" fill="{fill}"/></svg>'
    )

"""A drill's timeline as an SVG picture: good and failed requests, latency, and who accepted writes. Pure."""

from __future__ import annotations

import html

from drills.results import Outcome

WIDTH, LEFT = 960, 70
RATE_HEIGHT, LATENCY_HEIGHT, LANE_HEIGHT, GAP = 110, 60, 16, 14
GOOD, FAILED, LATENCY, FAULT, WRITER = "#2da44e", "#cf222e", "#0969da", "#fff1e5", "#8250df"
_MEANINGS = {
    GOOD: "requests that were answered",
    FAILED: "requests that failed",
    LATENCY: "the slowest answer",
    FAULT: "the fault, until it is healed",
    WRITER: "who accepts writes",
}
LEGEND = ", ".join(
    f'<span style="background: {colour}">&emsp;</span> {meaning}' for colour, meaning in _MEANINGS.items()
)
"""What the colours are, as HTML. The numbers at the left are the height of each part: requests a second, seconds."""


def timeline_svg(outcome: Outcome) -> str:
    """The picture, from the fault at 0 s to the end of the load."""
    line = outcome.timeline
    count = len(line.good)
    seconds = count * line.bin_s
    x_of = (WIDTH - LEFT) / seconds

    def x(moment: float) -> float:
        return round(LEFT + min(max(moment, 0.0), seconds) * x_of, 1)

    rate = max(1, *(g + f for g, f in zip(line.good, line.failed, strict=True)))
    slowest = max(0.1, *line.max_latency_s)
    latency_top = RATE_HEIGHT + GAP
    lanes_top = latency_top + LATENCY_HEIGHT + GAP
    bottom = lanes_top + LANE_HEIGHT * len(line.accepting)
    parts = [_rect(x(0), 0, x(line.healed_s) - x(0), bottom, FAULT)]
    for index, (good, failed, latency) in enumerate(zip(line.good, line.failed, line.max_latency_s, strict=True)):
        left, width = x(index * line.bin_s), max(0.6, line.bin_s * x_of - 0.3)
        good_height, failed_height = RATE_HEIGHT * good / rate, RATE_HEIGHT * failed / rate
        parts.append(_rect(left, RATE_HEIGHT - good_height, width, good_height, GOOD))
        parts.append(_rect(left, RATE_HEIGHT - good_height - failed_height, width, failed_height, FAILED))
        height = LATENCY_HEIGHT * latency / slowest
        parts.append(_rect(left, latency_top + LATENCY_HEIGHT - height, width, height, LATENCY))
    for lane, (host, spans) in enumerate(sorted(line.accepting.items())):
        top = lanes_top + lane * LANE_HEIGHT
        parts.append(_text(0, top + 12, f"{host} writes"))
        parts += [_rect(x(a), top + 3, max(0.0, x(b) - x(a)), LANE_HEIGHT - 6, WRITER) for a, b in spans if b > 0]
    parts += [
        _text(0, 12, f"{rate / line.bin_s:.0f} req/s"),
        _text(0, latency_top + 12, f"{slowest:.1f} s"),
        *(_text(x(at), bottom + 14, f"{at} s") for at in range(0, int(seconds), max(5, int(seconds / 12)))),
    ]
    label = html.escape(f"Timeline of {outcome.fault}")
    view = f'viewBox="0 0 {WIDTH} {bottom + 20}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" {view} width="100%" '
        f'font-family="sans-serif" font-size="11">{"".join(part for part in parts if part)}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    if width <= 0 or height <= 0:
        return ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'

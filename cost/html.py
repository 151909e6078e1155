"""The report as one self-contained HTML page with a chart: no script, nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import jinja2

from cost import money, text
from cost.estimate import total
from cost.report import Report

_ROW = 30
_WIDEST = 420


@dataclass(frozen=True)
class Bar:
    """One bar of the chart, in the chart's own units."""

    group: str
    usd: str
    share: int
    y: int
    width: int


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    height: int


def report(found: Report) -> str:
    """`ha cost --html`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(usd=money.usd, quantity=money.quantity, price=money.price, label=text.label, total=total)
    return environment.get_template("report.html.j2").render(
        report=found,
        verdict=text.budget(found),
        components=text.by_component(found.lines),
        chart=chart(found),
    )


def chart(found: Report) -> Chart:
    """A bar a group, the dearest first and widest."""
    widest = max((g.monthly_usd for g in found.groups), default=Decimal(0)) or Decimal(1)
    whole = found.monthly_usd or Decimal(1)
    bars = [
        Bar(
            group=g.group,
            usd=money.usd(g.monthly_usd),
            share=round(g.monthly_usd / whole * 100),
            y=number * _ROW + 4,
            width=max(1, round(g.monthly_usd / widest * _WIDEST)),
        )
        for number, g in enumerate(found.groups)
    ]
    return Chart(bars, len(bars) * _ROW + 4)

"""The generated parts of the documentation that are about cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache

from cost import markdown, stacks, text, usage
from cost.money import quantity, usd
from cost.report import Report
from cost.resource_types import FREE, PAID
from cost.usage import Assumption
from spec.markdown import table
from spec.project import REPOSITORY

# The stacks as they are shipped: whoever edits theirs does not change the documentation.
STACKS_DIR = REPOSITORY / "tests" / "stacks"
STACKS = ("dev", "prod")


def costs_page() -> str:
    """The generated part of docs/costs.md."""
    reports = [report_of(name) for name in STACKS]
    return (
        "\n\n".join(
            [
                "## What the money goes to",
                _groups(reports),
                *(part for found in reports for part in (f"### {found.stack}", _lines(found))),
                "## The guide's table beside ours",
                markdown.guide_table(reports[0]),
                "## Usage assumptions",
                _assumptions(usage.load()),
                "## What is paid for and what is free",
                table(("Type that is priced by its inputs",), [(f"`{t}`",) for t in sorted(PAID)], "l"),
                table(("Free type", "Why"), [(f"`{t}`", why) for t, why in sorted(FREE.items())], "ll"),
            ]
        )
        + "\n"
    )


@cache
def report_of(name: str, *changes: str) -> Report:
    """The report of a stack of the tests, with changes made to its settings."""
    return stacks.report_of(name, changes, stacks_dir=STACKS_DIR)


def _groups(reports: Sequence[Report]) -> str:
    names = [g.group for g in reports[0].groups]
    sums = [{g.group: g.monthly_usd for g in found.groups} for found in reports]
    rows: list[Sequence[str]] = [(name, *(usd(s.get(name, Decimal(0))) for s in sums)) for name in names]
    rows.append(("**Total a month**", *(f"**{usd(found.monthly_usd)}**" for found in reports)))
    rows.append(("left of the budget", *(usd(found.left_usd) for found in reports)))
    rows.append(
        (
            "managed services, same size",
            *("not known" if f.managed.monthly_usd is None else usd(f.managed.monthly_usd) for f in reports),
        )
    )
    for number, saving in enumerate(reports[0].savings):
        unsure = text.UNCONFIRMED if any(f.savings[number].low_confidence for f in reports) else ""
        cells = [f.savings[number].monthly_usd for f in reports]
        rows.append((f"with {saving.name}{unsure}", *("not known" if c is None else usd(c) for c in cells)))
    return table(["", *(f"{found.stack} ({found.region})" for found in reports)], rows, "l" + "r" * len(reports))


def _lines(found: Report) -> str:
    """Every line, those of the same item and price together."""
    sums: dict[tuple[str, str, Decimal], list[Decimal]] = {}
    for line in sorted(found.lines, key=lambda li: (li.group, li.item)):
        key = (f"{line.item}{' *' if line.basis == 'usage' else ''}", line.unit, line.unit_price_usd)
        counted = sums.setdefault(key, [Decimal(0), Decimal(0)])
        counted[0] += line.quantity
        counted[1] += line.monthly_usd
    rows = [
        (item, quantity(amount), unit, f"{price.normalize():f}", usd(cost))
        for (item, unit, price), (amount, cost) in sorted(sums.items(), key=lambda s: -s[1][1])
    ]
    return table(("Line", "Monthly Qty", "Unit", "Price", "Monthly Cost"), rows, "lrlrr")


def _assumptions(assumed: usage.Usage) -> str:
    rows: list[Sequence[str]] = []

    def add(name: str, value: Assumption | None) -> None:
        if value is not None:
            rows.append((f"`{name}`", f"{quantity(value.quantity)} {value.unit}", value.reason))

    for name, value in assumed:
        if isinstance(value, Assumption):
            add(name, value)
    for bucket, quantities in assumed.buckets.items():
        for name, value in quantities:
            add(f"buckets.{bucket}.{name}", value)
    return table(("Assumption", "A month", "Why"), rows, "lrl")

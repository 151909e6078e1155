"""What a change costs: two estimates of a stack, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

from cost.report import Line, Quantity, Report, UnpricedResource, Usd

Change = Literal["added", "removed", "changed"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Model):
    """A line on one side of a change."""

    item: str
    quantity: Quantity
    unit: str
    monthly_usd: Usd


class DiffLine(_Model):
    """A line that is not the same on both sides. `before` null: added; `after` null: removed."""

    component: str
    resource: str
    change: Change
    before: Side | None
    after: Side | None
    difference_usd: Usd


class StackDiff(_Model):
    """A stack before and after. `before_usd` null: there was no such stack.

    `before_unpriced`: what could not be priced before; the difference then leaves it out.
    """

    stack: str
    region: str
    region_before: str | None
    before_usd: Usd | None
    after_usd: Usd
    difference_usd: Usd
    budget_usd: Usd
    within_budget: bool
    lines: list[DiffLine]
    unchanged: int
    before_unpriced: list[UnpricedResource]
    unpriced: list[UnpricedResource]
    low_confidence: list[str]


class Diff(_Model):
    """The document of `ha cost diff --json`. `base` and `head`: what was compared, in words."""

    base: str
    head: str
    stacks: list[StackDiff]


def compare(before: Report | None, after: Report) -> StackDiff:
    """The difference of two reports. Pure; the sum of the lines' differences is the difference of the totals."""
    old = _by_identity(before.lines if before else [])
    new = _by_identity(after.lines)
    lines = [_line(old.get(k), new.get(k)) for k in sorted(old.keys() | new.keys())]
    changed = [line for line in lines if line is not None]
    return StackDiff(
        stack=after.stack,
        region=after.region,
        region_before=before.region if before else None,
        before_usd=before.monthly_usd if before else None,
        after_usd=after.monthly_usd,
        difference_usd=after.monthly_usd - (before.monthly_usd if before else Decimal(0)),
        budget_usd=after.budget_usd,
        within_budget=after.within_budget,
        lines=changed,
        unchanged=len(lines) - len(changed),
        before_unpriced=list(before.unpriced) if before else [],
        unpriced=after.unpriced,
        low_confidence=after.low_confidence,
    )


def _by_identity(lines: Sequence[Line]) -> Mapping[tuple[str, str, str, str], Line]:
    """A line is the same one when its resource and what it is of the resource are the same, whatever its type."""
    return {(li.component, li.resource, li.type, li.slot): li for li in lines}


def _line(before: Line | None, after: Line | None) -> DiffLine | None:
    here = after or before
    assert here is not None
    if (
        before
        and after
        and (before.item, before.quantity, before.monthly_usd)
        == (
            after.item,
            after.quantity,
            after.monthly_usd,
        )
    ):
        return None
    return DiffLine(
        component=here.component,
        resource=here.resource,
        change="added" if before is None else "removed" if after is None else "changed",
        before=_side(before),
        after=_side(after),
        difference_usd=(after.monthly_usd if after else Decimal(0)) - (before.monthly_usd if before else Decimal(0)),
    )


def _side(line: Line | None) -> Side | None:
    if line is None:
        return None
    return Side(item=line.item, quantity=line.quantity, unit=line.unit, monthly_usd=line.monthly_usd)

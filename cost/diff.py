"""What a change costs: two estimates of a stack, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from cost.estimate import Line, UnpricedResource
from cost.money import Quantity, Usd
from cost.report import Report

Change = Literal["added", "removed", "changed"]


class Side(BaseModel, frozen=True):
    """A line on one side of a change."""

    item: str
    quantity: Quantity
    unit: str
    monthly_usd: Usd


class DiffLine(BaseModel, frozen=True):
    """A line that is not the same on both sides. `before` null: added; `after` null: removed."""

    component: str
    resource: str
    change: Change
    before: Side | None
    after: Side | None
    difference_usd: Usd


class StackDiff(BaseModel, frozen=True):
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


class Diff(BaseModel, frozen=True):
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
    return {(line.component, line.resource, line.type, line.diff_key): line for line in lines}


def _line(before: Line | None, after: Line | None) -> DiffLine | None:
    here = after or before
    assert here is not None
    old, new = _side(before), _side(after)
    if old == new:
        return None
    return DiffLine(
        component=here.component,
        resource=here.resource,
        change="added" if before is None else "removed" if after is None else "changed",
        before=old,
        after=new,
        difference_usd=(after.monthly_usd if after else Decimal(0)) - (before.monthly_usd if before else Decimal(0)),
    )


def _side(line: Line | None) -> Side | None:
    if line is None:
        return None
    return Side(item=line.item, quantity=line.quantity, unit=line.unit, monthly_usd=line.monthly_usd)

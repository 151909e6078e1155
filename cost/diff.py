"""What a change costs: two estimates of a stack, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from cost.estimate import Line, UnpricedResource
from cost.money import Quantity, Usd, usd
from cost.report import Report

APPROVAL_LABEL = "cost-approved"
"""With it, a pull request may change a budget or how costs are estimated."""
GONE = "its stack file is gone; its estate is not"
"""Of a stack that only the base has: nothing would change or price it any more, and it costs what it did."""

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


class AtBase(BaseModel, frozen=True):
    """The same two sides by the base's own estimator: its prices, types, usage and budget, as no change can edit them.

    `not_priced`: resources of the head that it does not know; they are in `after_usd` at the head's prices.
    """

    before_usd: Usd | None
    after_usd: Usd
    not_priced: list[str]


class StackDiff(BaseModel, frozen=True):
    """A stack before and after. `before_usd` null: there was no such stack, or `before_failed` says why it is unknown.

    `before_unpriced`: what could not be priced before; the difference then leaves it out. `at_base` null: there is no
    base, or `at_base_failed` says why it cannot price this stack.
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
    before_failed: str = ""
    budget_before_usd: Usd | None = None
    at_base: AtBase | None = None
    at_base_failed: str = ""


class PriceChange(BaseModel, frozen=True):
    """A row of a price file with another price; null: there is no such row on this side."""

    region: str
    key: str
    before_usd: Usd | None
    after_usd: Usd | None


class Diff(BaseModel, frozen=True):
    """The document of `ha cost diff --json`. `base` and `head`: what was compared, in words.

    `edited`: files with which the estimate is made or shown, and which differ; `prices`: the prices that do. `gone`:
    stacks that only the base has a file of.
    """

    base: str
    head: str
    stacks: list[StackDiff]
    edited: list[str] = []
    prices: list[PriceChange] = []
    gone: list[str] = []


def needs_approval(found: Diff) -> list[str]:
    """What makes an estimate stand on the change's own word, in sentences: a person has to agree with it."""
    return [*of_edits(found.edited), *(reason for one in found.stacks for reason in of_stack(one))]


def of_edits(files: Sequence[str]) -> list[str]:
    """Why files that the change edits need a person's word."""
    if not files:
        return []
    count = f" ({len(files)} files)" if len(files) > 1 else ""
    return [f"it changes how costs are estimated or shown{count}: {', '.join(files)}"]


def of_stack(found: StackDiff) -> list[str]:
    """Why a stack's budget or cost needs a person's word."""
    name, budget = found.stack, usd(found.budget_usd)
    reasons = []
    before = found.budget_before_usd
    if before is not None and found.budget_usd > before:
        reasons.append(f"it raises the budget of {name} from {usd(before)} to {budget}")
    if before is None and (found.at_base or found.at_base_failed):
        new = found.before_usd is None and not found.before_failed
        why = "is new" if new else "has no budget that can be read in the base"
        reasons.append(f"{name} {why}, so its budget of {budget} is the change's own")
    if found.at_base and found.within_budget and found.at_base.after_usd > found.budget_usd:
        reasons.append(f"{name} costs {usd(found.at_base.after_usd)} at the base's prices, over its budget of {budget}")
    return reasons


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

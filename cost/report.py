"""The document of `ha cost`: what stands in the terminal, in `--json`, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

from cost import alternatives, guide
from cost.estimate import Estimate
from cost.estimate import Line as Priced
from cost.prices import Confidence, PriceBook
from cost.usage import Usage

# A JSON number with the digits of the Decimal: up to 15 of them, a float is written as it was read.
Usd = Annotated[Decimal, PlainSerializer(float, when_used="json")]
Quantity = Usd


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Line(_Model):
    """A priced line. `basis`: `declared` by the program, or a `usage` assumption, whose `reason` stands beside it."""

    component: str
    resource: str
    type: str
    item: str
    slot: str
    quantity: Quantity
    unit: str
    unit_price_usd: Usd
    monthly_usd: Usd
    price_key: str
    source: str
    as_of: str
    confidence: str
    group: str
    basis: Literal["declared", "usage"]
    reason: str


class FreeResource(_Model):
    component: str
    resource: str
    type: str
    reason: str


class UnpricedResource(_Model):
    component: str
    resource: str
    type: str
    reason: str


class GuideRow(_Model):
    """`guide_usd` null: the guide has no such row. `list_usd`: the guide's own words at list price."""

    component: str
    guide_usd: Usd | None
    list_usd: Usd | None
    ours_usd: Usd
    why: str


class GroupTotal(_Model):
    group: str
    monthly_usd: Usd


class ManagedPart(_Model):
    item: str
    quantity: Quantity
    unit: str
    unit_price_usd: Usd
    monthly_usd: Usd
    confidence: str


class Managed(_Model):
    """`monthly_usd` null: `unpriced` says which prices are missing."""

    monthly_usd: Usd | None
    kept_usd: Usd
    parts: list[ManagedPart]
    unpriced: list[str]


class Saving(_Model):
    """`saves_usd` null: `unpriced` says which prices are missing. `low_confidence`: those that nothing confirms."""

    name: str
    monthly_usd: Usd | None
    saves_usd: Usd | None
    what_it_takes: str
    unpriced: list[str]
    low_confidence: list[str]


class Report(_Model):
    """A stack's estimate. Unpriced resources are in no sum: with one of them, `within_budget` is false."""

    stack: str
    region: str
    monthly_usd: Usd
    budget_usd: Usd
    left_usd: Usd
    within_budget: bool
    lines: list[Line]
    free: list[FreeResource]
    unpriced: list[UnpricedResource]
    groups: list[GroupTotal]
    guide: list[GuideRow]
    guide_total_usd: Usd
    managed: Managed
    savings: list[Saving]
    low_confidence: list[str]


@dataclass(frozen=True)
class Inputs:
    """What a report is made from."""

    stack: str
    budget_usd: Decimal
    estimate: Estimate
    book: PriceBook
    usage: Usage


def line_of(line: Priced) -> Line:
    charge, price = line.charge, line.price
    return Line(
        component=line.component,
        resource=line.resource,
        type=line.type,
        item=charge.item,
        slot=charge.slot,
        quantity=charge.quantity,
        unit=charge.unit,
        unit_price_usd=price.usd,
        monthly_usd=line.monthly_usd,
        price_key=price.key,
        source=price.source,
        as_of=price.as_of.isoformat(),
        confidence=price.confidence,
        group=charge.group,
        basis="usage" if charge.assumed else "declared",
        reason=charge.assumed,
    )


def make(inputs: Inputs) -> Report:
    """The report of an estimate. Pure."""
    estimate, book = inputs.estimate, inputs.book
    monthly = estimate.monthly_usd
    return Report(
        stack=inputs.stack,
        region=book.region,
        monthly_usd=monthly,
        budget_usd=inputs.budget_usd,
        left_usd=inputs.budget_usd - monthly,
        within_budget=not estimate.unpriced and monthly <= inputs.budget_usd,
        lines=[line_of(li) for li in estimate.lines],
        free=[
            FreeResource(component=f.component, resource=f.resource, type=f.type, reason=f.reason)
            for f in estimate.free
        ],
        unpriced=[
            UnpricedResource(component=u.component, resource=u.resource, type=u.type, reason=u.reason)
            for u in estimate.unpriced
        ],
        groups=_groups(estimate.lines),
        guide=[
            GuideRow(component=r.component, guide_usd=r.guide_usd, list_usd=r.list_usd, ours_usd=r.ours_usd, why=r.why)
            for r in guide.compare(estimate, book)
        ],
        guide_total_usd=guide.GUIDE_TOTAL_USD,
        managed=_managed(alternatives.managed(estimate, book, inputs.usage)),
        savings=[
            Saving(
                name=s.name,
                monthly_usd=s.monthly_usd,
                saves_usd=None if s.monthly_usd is None else monthly - s.monthly_usd,
                what_it_takes=s.what_it_takes,
                unpriced=list(s.unpriced),
                low_confidence=list(s.low_confidence),
            )
            for s in alternatives.savings(estimate, book)
        ],
        low_confidence=sorted({li.price.key for li in estimate.lines if li.price.confidence is Confidence.LOW}),
    )


def _groups(lines: Sequence[Priced]) -> list[GroupTotal]:
    sums: dict[str, Decimal] = {}
    for line in lines:
        sums[line.charge.group] = sums.get(line.charge.group, Decimal(0)) + line.monthly_usd
    return [GroupTotal(group=g, monthly_usd=usd) for g, usd in sorted(sums.items(), key=lambda s: (-s[1], s[0]))]


def _managed(found: alternatives.Managed) -> Managed:
    parts = [
        ManagedPart(
            item=p.item,
            quantity=p.quantity,
            unit=p.unit,
            unit_price_usd=p.unit_price_usd,
            monthly_usd=p.monthly_usd,
            confidence=p.confidence,
        )
        for p in found.parts
    ]
    return Managed(monthly_usd=found.monthly_usd, kept_usd=found.kept_usd, parts=parts, unpriced=list(found.unpriced))

"""The document of `ha cost`: what the terminal, `--json`, Markdown and HTML show."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel

from cost.alternatives import Managed, Saving, managed, savings
from cost.estimate import Estimate, FreeResource, Line, UnpricedResource
from cost.guide import GUIDE_TOTAL_USD, GuideRow, guide_rows
from cost.money import Usd
from cost.prices import Confidence, PriceBook
from cost.resource_types import Group
from cost.usage import Usage


class GroupTotal(BaseModel, frozen=True):
    group: Group
    monthly_usd: Usd


class Report(BaseModel, frozen=True):
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

    @property
    def guide_list_usd(self) -> Decimal:
        """What the guide's rows cost at list price."""
        return sum((row.list_usd for row in self.guide if row.list_usd is not None), Decimal(0))


def make(stack: str, budget_usd: Decimal, estimate: Estimate, book: PriceBook, usage: Usage) -> Report:
    """The report of an estimate. Pure."""
    monthly_usd = estimate.monthly_usd
    return Report(
        stack=stack,
        region=book.region,
        monthly_usd=monthly_usd,
        budget_usd=budget_usd,
        left_usd=budget_usd - monthly_usd,
        within_budget=not estimate.unpriced and monthly_usd <= budget_usd,
        lines=list(estimate.lines),
        free=list(estimate.free),
        unpriced=list(estimate.unpriced),
        groups=_groups(estimate),
        guide=guide_rows(estimate, book),
        guide_total_usd=GUIDE_TOTAL_USD,
        managed=managed(estimate, book, usage),
        savings=savings(estimate, book),
        low_confidence=sorted({line.price_key for line in estimate.lines if line.confidence is Confidence.LOW}),
    )


def _groups(estimate: Estimate) -> list[GroupTotal]:
    """The dearest first."""
    sums: dict[Group, Decimal] = {}
    for line in estimate.lines:
        sums[line.group] = sums.get(line.group, Decimal(0)) + line.monthly_usd
    return [GroupTotal(group=g, monthly_usd=usd) for g, usd in sorted(sums.items(), key=lambda s: (-s[1], s[0]))]

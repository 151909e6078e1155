"""From what a program declares to priced lines and their exact sum. Pure: no files, no clock, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cost.declared import Declared
from cost.kinds import FREE, INSTANCE, NAT_GATEWAY, PAID, Charge, Facts, Group, Unpriceable
from cost.prices import MissingPrice, Price, PriceBook
from cost.usage import Usage
from spec.tags import TIER_TAG


@dataclass(frozen=True, kw_only=True)
class Line:
    """A priced charge. `tier`: the tier tag of its resource, or empty."""

    component: str
    resource: str
    type: str
    tier: str
    charge: Charge
    price: Price

    @property
    def monthly_usd(self) -> Decimal:
        return self.charge.quantity * self.price.usd


@dataclass(frozen=True)
class Free:
    """A resource for which nothing is paid, and why."""

    component: str
    resource: str
    type: str
    reason: str


@dataclass(frozen=True)
class Unpriced:
    """A resource whose cost cannot be told, and why: an estimate with one of these is no estimate."""

    component: str
    resource: str
    type: str
    reason: str


@dataclass(frozen=True)
class Estimate:
    """Lines, what is free, and what could not be priced."""

    lines: tuple[Line, ...]
    free: tuple[Free, ...]
    unpriced: tuple[Unpriced, ...]

    @property
    def monthly_usd(self) -> Decimal:
        return total(self.lines)

    def in_group(self, group: Group) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.charge.group is group)


def total(lines: Sequence[Line]) -> Decimal:
    return sum((line.monthly_usd for line in lines), Decimal(0))


def facts_of(declared: Sequence[Declared]) -> Facts:
    count = Counter(d.type for d in declared)
    return Facts(instances=count[INSTANCE], nat_gateways=count[NAT_GATEWAY])


def estimate(declared: Sequence[Declared], book: PriceBook, usage: Usage) -> Estimate:
    """Every resource becomes lines, or is free for a reason, or is unpriced for one. Nothing is left out."""
    facts = facts_of(declared)
    lines: list[Line] = []
    free: list[Free] = []
    unpriced: list[Unpriced] = []
    for resource in declared:
        where = (resource.component, resource.name, resource.type)
        try:
            _check_place(resource, book)
            charges = _charges(resource, facts, usage)
            found = [_line(resource, charge, book) for charge in charges]
        except (Unpriceable, MissingPrice) as why:
            unpriced.append(Unpriced(*where, str(why)))
            continue
        lines += found
        if not found:
            free.append(Free(*where, FREE[resource.type]))
    return Estimate(tuple(lines), tuple(free), tuple(unpriced))


def _check_place(resource: Declared, book: PriceBook) -> None:
    """A resource or a provider may name a region of its own. :raises Unpriceable: when it is not the book's."""
    region = resource.inputs.get("region")
    if region not in (None, book.region):
        raise Unpriceable(f"it is in region {region}, and the estimate's prices are those of {book.region}")


def _charges(resource: Declared, facts: Facts, usage: Usage) -> list[Charge]:
    kind = PAID.get(resource.type)
    if kind is not None:
        return kind(resource, facts, usage)
    if resource.type in FREE:
        return []
    raise Unpriceable(f"nobody has said what a resource of type {resource.type} costs: see docs/costs.md")


def _line(resource: Declared, charge: Charge, book: PriceBook) -> Line:
    return Line(
        component=resource.component,
        resource=resource.name,
        type=resource.type,
        tier=_tier(resource),
        charge=charge,
        price=book.price(charge.key, charge.unit),
    )


def _tier(resource: Declared) -> str:
    tags = resource.inputs.get("tags")
    return str(tags.get(TIER_TAG, "")) if isinstance(tags, Mapping) else ""

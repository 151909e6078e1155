"""From what a program declares to priced lines and their exact sum. Pure: no files, no clock, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field

from cost.money import Quantity, Usd
from cost.prices import Confidence, MissingPrice, Price, PriceBook, Unit
from cost.resource_types import FREE, INSTANCE, NAT_GATEWAY, PAID, VOLUME, Charge, Counts, Group, Unpriceable
from cost.resources import AWS_PROVIDER, Resource, is_default
from cost.usage import Usage
from spec.tags import TIER_TAG
from spec.tiers import Tier


class Line(BaseModel, frozen=True, serialize_by_alias=True):
    """A priced charge. `basis`: `declared` by the program, or a `usage` assumption, whose `reason` is beside it."""

    component: str
    resource: str
    type: str
    tier: Tier | None = Field(exclude=True)
    item: str
    diff_key: str = Field(serialization_alias="slot")
    quantity: Quantity
    unit: Unit
    unit_price_usd: Usd
    monthly_usd: Usd
    price_key: str
    source: str
    as_of: date
    confidence: Confidence
    group: Group
    basis: Literal["declared", "usage"]
    reason: str

    @classmethod
    def of(cls, resource: Resource, charge: Charge, price: Price) -> Line:
        return cls(
            component=resource.component,
            resource=resource.name,
            type=resource.type,
            tier=_tier(resource),
            item=charge.item,
            diff_key=charge.diff_key,
            quantity=charge.quantity,
            unit=charge.unit,
            unit_price_usd=price.usd,
            monthly_usd=charge.quantity * price.usd,
            price_key=price.key,
            source=price.source,
            as_of=price.as_of,
            confidence=price.confidence,
            group=charge.group,
            basis="usage" if charge.assumed else "declared",
            reason=charge.assumed,
        )

    @property
    def instance_type(self) -> str | None:
        """The instance type of a host's line."""
        return self.item.removeprefix("instance ") if self.group is Group.HOSTS else None


class FreeResource(BaseModel, frozen=True):
    """A resource for which nothing is paid, and why."""

    component: str
    resource: str
    type: str
    reason: str


class UnpricedResource(BaseModel, frozen=True):
    """A resource whose cost is unknown, and why: an estimate with one of these is not complete."""

    component: str
    resource: str
    type: str
    reason: str


@dataclass(frozen=True)
class Estimate:
    """Lines, what is free, and what could not be priced."""

    lines: tuple[Line, ...]
    free: tuple[FreeResource, ...]
    unpriced: tuple[UnpricedResource, ...]

    @property
    def monthly_usd(self) -> Decimal:
        return total(self.lines)


def total(lines: Iterable[Line]) -> Decimal:
    return sum((line.monthly_usd for line in lines), Decimal(0))


def estimate(declared: Sequence[Resource], book: PriceBook, usage: Usage) -> Estimate:
    """Every resource becomes lines, or is free for a reason, or is unpriced for one. Nothing is left out."""
    of_type = Counter(resource.type for resource in declared)
    counts = Counts(instances=of_type[INSTANCE], nat_gateways=of_type[NAT_GATEWAY], database_gb=_database_gb(declared))
    lines: list[Line] = []
    free: list[FreeResource] = []
    unpriced: list[UnpricedResource] = []
    for resource in declared:
        identity = {"component": resource.component, "resource": resource.name, "type": resource.type}
        try:
            here = _book_of(resource, book)
            charges = _charges(resource, counts, usage)
            found = [Line.of(resource, charge, here.price(charge.key, charge.unit)) for charge in charges]
        except (Unpriceable, MissingPrice) as why:
            unpriced.append(UnpricedResource(**identity, reason=str(why)))
            continue
        lines += found
        if not found:
            free.append(FreeResource(**identity, reason=FREE[resource.type]))
    return Estimate(tuple(lines), tuple(free), tuple(unpriced))


def _charges(resource: Resource, counts: Counts, usage: Usage) -> list[Charge]:
    charges_of = PAID.get(resource.type)
    if charges_of is not None:
        return charges_of(resource, counts, usage)
    if resource.type in FREE:
        return []
    raise Unpriceable(f"no price mapping for resource type {resource.type}: add one, as docs/costs.md says")


def _book_of(resource: Resource, book: PriceBook) -> PriceBook:
    """The prices for a resource: it, or its provider, may name a region of its own.

    :raises Unpriceable: for the engine's own provider in another region than the estimate, and all else with it.
    :raises MissingPrice: for a region without prices.
    """
    region = resource.inputs.get("region") or book.region
    if resource.type == AWS_PROVIDER and is_default(resource.name) and region != book.region:
        raise Unpriceable(f"it is in region {region}, and the estimate has the prices of {book.region}")
    return book.in_region(region)


def _database_gb(declared: Sequence[Resource]) -> Decimal:
    """The size of a database host's volume; 0 when there is none, or it is known only after the update."""
    sizes = (one.inputs.get("size") for one in declared if one.type == VOLUME and _tier(one) is Tier.DB)
    return max((Decimal(size) for size in sizes if isinstance(size, int | float)), default=Decimal(0))


def _tier(resource: Resource) -> Tier | None:
    """The tier that its tags name; None without a tag, or when its value is known only after the update."""
    tags = resource.inputs.get("tags")
    name = tags.get(TIER_TAG) if isinstance(tags, Mapping) else None
    return Tier(name) if name in list(Tier) else None

"""What else the same estate could cost: on managed services, on Graviton, with a commitment, without a NAT gateway.

Each takes the estimate's lines and puts others in their place. When a price is missing there is no sum, and the
alternative says which prices they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from pydantic import BaseModel

from cost.estimate import Estimate, Line, total
from cost.money import Quantity, Usd
from cost.prices import HOURS_PER_MONTH, Confidence, MissingPrice, Price, PriceBook, Unit
from cost.resource_types import VOLUME, Group
from cost.usage import Usage
from spec.tiers import Tier

# The Graviton family of the same shape.
_GRAVITON = {
    "t3": "t4g",
    "t3a": "t4g",
    "m5": "m6g",
    "m6a": "m6g",
    "m6i": "m6g",
    "m7a": "m7g",
    "m7i": "m7g",
    "c5": "c6g",
    "c6i": "c6g",
    "c7i": "c7g",
    "r5": "r6g",
    "r6i": "r6g",
    "r7i": "r7g",
}
_MIN_RDS_GIB = Decimal(20)  # RDS for PostgreSQL takes no smaller gp3 volume
_REPLACED_TIERS = (Tier.LB, Tier.DB, Tier.CACHE, Tier.MONITOR)


class ManagedPart(BaseModel, frozen=True):
    """A managed service in place of the estate's own hosts."""

    item: str
    quantity: Quantity
    unit: Unit
    unit_price_usd: Usd
    monthly_usd: Usd
    confidence: Confidence


class Managed(BaseModel, frozen=True):
    """The same estate with RDS, an ALB and ElastiCache in place of its own hosts.

    `kept_usd`: what stays as it is. `monthly_usd` null: `unpriced` says which prices are missing.
    """

    monthly_usd: Usd | None
    kept_usd: Usd
    parts: list[ManagedPart]
    unpriced: list[str]


class Saving(BaseModel, frozen=True):
    """A change, what a month would cost with it, and what it takes.

    `monthly_usd` and `saves_usd` null: `unpriced` says which prices are missing. `low_confidence`: the keys of prices
    in it that no second source confirms.
    """

    name: str
    monthly_usd: Usd | None
    saves_usd: Usd | None
    what_it_takes: str
    unpriced: list[str]
    low_confidence: list[str]


def managed(estimate: Estimate, book: PriceBook, usage: Usage) -> Managed:
    """Application hosts, network and alerts stay; load balancers, databases, caches and the monitor are replaced.

    So are backups: the price of RDS includes as much storage for them as the database has.
    """

    def instance_types(tier: Tier) -> list[str]:
        return [line.instance_type for line in estimate.lines if line.instance_type and line.tier is tier]

    volumes = [
        line.quantity
        for line in estimate.lines
        if line.tier is Tier.DB and line.type == VOLUME and line.unit is Unit.GB_MONTH
    ]
    lcu_hours = HOURS_PER_MONTH * usage.load_balancer_lcu.quantity
    wanted: list[tuple[str, Decimal, Unit, str]] = [
        ("Application Load Balancer", HOURS_PER_MONTH, Unit.HOUR, "alb.hour"),
        ("Application Load Balancer, capacity", lcu_hours, Unit.LCU_HOUR, "alb.lcu"),
        ("public IPv4 addresses of it, one a zone", 2 * HOURS_PER_MONTH, Unit.HOUR, "public-ipv4.hour"),
    ]
    if databases := instance_types(Tier.DB):
        name, key = f"db.{databases[0]}", f"rds.postgres.multi-az.db.{databases[0]}.hour"
        wanted += [
            (f"RDS Multi-AZ {name}", HOURS_PER_MONTH, Unit.HOUR, key),
            (
                "RDS Multi-AZ storage, gp3, with backups",
                max([_MIN_RDS_GIB, *volumes]),
                Unit.GB_MONTH,
                "rds.multi-az.gp3.gb",
            ),
        ]
    if caches := instance_types(Tier.CACHE):
        name, key = f"cache.{caches[0]}", f"elasticache.redis.cache.{caches[0]}.hour"
        wanted.append((f"ElastiCache, {len(caches)} of {name}", len(caches) * HOURS_PER_MONTH, Unit.HOUR, key))
    kept_usd = total(
        line for line in estimate.lines if line.tier not in _REPLACED_TIERS and line.group is not Group.BACKUPS
    )
    parts, missing = [], []
    for item, quantity, unit, key in wanted:
        try:
            price = book.price(key, unit)
        except MissingPrice as why:
            missing.append(str(why))
            continue
        parts.append(
            ManagedPart(
                item=item,
                quantity=quantity,
                unit=unit,
                unit_price_usd=price.usd,
                monthly_usd=quantity * price.usd,
                confidence=price.confidence,
            )
        )
    monthly_usd = None if missing else kept_usd + sum((part.monthly_usd for part in parts), Decimal(0))
    return Managed(monthly_usd=monthly_usd, kept_usd=kept_usd, parts=parts, unpriced=missing)


def savings(estimate: Estimate, book: PriceBook) -> list[Saving]:
    """What Graviton, a one-year commitment, or no NAT gateway would make of the month."""
    return [
        _with_other_hosts(
            "Graviton instances",
            estimate,
            book,
            _graviton_key,
            "instance types of the t4g, m6g… families and the arm64 image in the stack's settings",
        ),
        _with_other_hosts(
            "one-year commitment",
            estimate,
            book,
            lambda name: f"ec2.{name}.reserved-1yr.hour",
            "standard reserved instances, nothing upfront: they are paid for whether used or not",
        ),
        _without_nat(estimate, book),
    ]


def _graviton_key(name: str) -> str:
    family, _, size = name.partition(".")
    return f"ec2.{_GRAVITON.get(family, family)}.{size}.hour"


def _with_other_hosts(
    name: str, estimate: Estimate, book: PriceBook, key_of: Callable[[str], str], what_it_takes: str
) -> Saving:
    kept: list[Line] = []
    prices: list[Price] = []
    missing: set[str] = set()
    for line in estimate.lines:
        if line.instance_type is None:
            kept.append(line)
            continue
        try:
            prices.append(book.price(key_of(line.instance_type), Unit.HOUR))
        except MissingPrice as why:
            missing.add(str(why))
            kept.append(line)
    return _saving(name, estimate, kept, prices, what_it_takes, missing)


def _without_nat(estimate: Estimate, book: PriceBook) -> Saving:
    """Every private host gets an address in place of the gateways, their addresses and what flows through them."""
    name = "no NAT gateway"
    takes = "a public address on every host: only security groups then keep the internet out"
    gateways = {line.resource for line in estimate.lines if line.price_key == "nat-gateway.hour"}
    # A gateway and its address have the same logical name.
    kept = [
        line
        for line in estimate.lines
        if line.group is not Group.NAT and not (line.group is Group.ADDRESSES and line.resource in gateways)
    ]
    try:
        address = book.price("public-ipv4.hour", Unit.HOUR)
    except MissingPrice as why:
        return _saving(name, estimate, kept, [], takes, {str(why)})
    private = [line for line in estimate.lines if line.instance_type and line.tier is not Tier.LB]
    return _saving(name, estimate, kept, [address] * len(private) if gateways else [], takes, set())


def _saving(
    name: str,
    estimate: Estimate,
    kept: Sequence[Line],
    hourly: Sequence[Price],
    what_it_takes: str,
    missing: set[str],
) -> Saving:
    """:param hourly: what is paid by the hour beside the lines that are kept."""
    monthly_usd = total(kept) + HOURS_PER_MONTH * sum((price.usd for price in hourly), Decimal(0))
    unsure = {line.price_key for line in kept if line.confidence is Confidence.LOW}
    unsure |= {price.key for price in hourly if price.confidence is Confidence.LOW}
    return Saving(
        name=name,
        monthly_usd=None if missing else monthly_usd,
        saves_usd=None if missing else estimate.monthly_usd - monthly_usd,
        what_it_takes=what_it_takes,
        unpriced=sorted(missing),
        low_confidence=sorted(unsure),
    )

"""What else the same estate could cost: by managed services, on Graviton, with a commitment, without a NAT gateway.

Each takes the estimate's lines and puts others in their place. One that lacks a price is not told as a number: it says
which prices are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from cost.estimate import Estimate, Line, total
from cost.kinds import VOLUME, Charge, Group
from cost.prices import HOURS_PER_MONTH, Confidence, MissingPrice, PriceBook, Unit
from cost.usage import Usage

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


@dataclass(frozen=True)
class Part:
    """A line of the managed way: what replaces the estate's own hosts."""

    item: str
    quantity: Decimal
    unit: Unit
    unit_price_usd: Decimal
    confidence: str

    @property
    def monthly_usd(self) -> Decimal:
        return self.quantity * self.unit_price_usd


@dataclass(frozen=True)
class Managed:
    """The same estate with RDS, an ALB and ElastiCache in place of its own hosts. `kept_usd`: what stays as it is."""

    parts: tuple[Part, ...]
    kept_usd: Decimal
    unpriced: tuple[str, ...]

    @property
    def monthly_usd(self) -> Decimal | None:
        if self.unpriced:
            return None
        return self.kept_usd + sum((p.monthly_usd for p in self.parts), Decimal(0))


@dataclass(frozen=True)
class Saving:
    """A change, what a month would cost with it, and what it takes. `monthly_usd` None: a price is missing.

    :ivar low_confidence: the keys of prices in it that no second source confirms.
    """

    name: str
    monthly_usd: Decimal | None
    what_it_takes: str
    unpriced: tuple[str, ...]
    low_confidence: tuple[str, ...]


def managed(estimate: Estimate, book: PriceBook, usage: Usage) -> Managed:
    """Application hosts, network and alerts stay; load balancers, databases, caches and the monitor are replaced."""
    replaced = {"lb", "db", "cache", "monitor"}
    kept = [line for line in estimate.lines if line.tier not in replaced]

    def hosts(tier: str) -> list[str]:
        return [li.charge.item.removeprefix("instance ") for li in _hosts(estimate.lines) if li.tier == tier]

    volumes = [
        li.charge.quantity
        for li in estimate.lines
        if li.tier == "db" and li.type == VOLUME and li.charge.unit is Unit.GB_MONTH
    ]
    wanted: list[tuple[str, Decimal, Unit, str]] = [
        ("Application Load Balancer", HOURS_PER_MONTH, Unit.HOUR, "alb.hour"),
        (
            "Application Load Balancer, capacity",
            HOURS_PER_MONTH * usage.load_balancer_lcu.quantity,
            Unit.LCU_HOUR,
            "alb.lcu",
        ),
        ("public IPv4 addresses of it, one a zone", 2 * HOURS_PER_MONTH, Unit.HOUR, "public-ipv4.hour"),
    ]
    if databases := hosts("db"):
        wanted += [
            (
                f"RDS Multi-AZ db.{databases[0]}",
                HOURS_PER_MONTH,
                Unit.HOUR,
                f"rds.postgres.multi-az.db.{databases[0]}.hour",
            ),
            ("RDS Multi-AZ storage, gp3", max([_MIN_RDS_GIB, *volumes]), Unit.GB_MONTH, "rds.multi-az.gp3.gb"),
        ]
    if caches := hosts("cache"):
        wanted.append(
            (
                f"ElastiCache, {len(caches)} of cache.{caches[0]}",
                len(caches) * HOURS_PER_MONTH,
                Unit.HOUR,
                f"elasticache.redis.cache.{caches[0]}.hour",
            )
        )
    parts, missing = [], []
    for item, quantity, unit, key in wanted:
        try:
            price = book.price(key, unit)
        except MissingPrice as why:
            missing.append(str(why))
        else:
            parts.append(Part(item, quantity, unit, price.usd, str(price.confidence)))
    return Managed(tuple(parts), total(kept), tuple(missing))


def savings(estimate: Estimate, book: PriceBook) -> list[Saving]:
    """What Graviton, a one-year commitment, or no NAT gateway would make of the month."""
    return [
        _with_hosts(
            "Graviton instances",
            estimate,
            book,
            _graviton_key,
            "instance types of the t4g, m6g… families and the arm64 image in the stack's settings",
        ),
        _with_hosts(
            "one-year commitment",
            estimate,
            book,
            lambda name: f"ec2.{name}.reserved-1yr.hour",
            "standard reserved instances, nothing upfront: they are paid whether used or not",
        ),
        _without_nat(estimate, book),
    ]


def _hosts(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.charge.group is Group.HOSTS]


def _graviton_key(name: str) -> str:
    family, _, size = name.partition(".")
    return f"ec2.{_GRAVITON.get(family, family)}.{size}.hour"


def _with_hosts(
    name: str, estimate: Estimate, book: PriceBook, key_of: Callable[[str], str], what_it_takes: str
) -> Saving:
    changed: list[Line] = []
    missing: set[str] = set()
    for line in estimate.lines:
        if line.charge.group is Group.HOSTS:
            try:
                price = book.price(key_of(line.charge.item.removeprefix("instance ")), Unit.HOUR)
                line = replace(line, price=price)
            except MissingPrice as why:
                missing.add(str(why))
        changed.append(line)
    return _saving(name, changed, what_it_takes, missing)


def _without_nat(estimate: Estimate, book: PriceBook) -> Saving:
    """Every private host gets an address in place of the gateways, their addresses and what flows through them."""
    name = "no NAT gateway"
    takes = "a public address on every host instead: security groups alone then stand between them and the internet"
    gateways = {line.resource for line in estimate.lines if line.charge.key == "nat-gateway.hour"}
    # A gateway and its address have the same logical name.
    kept = [
        line
        for line in estimate.lines
        if line.charge.group is not Group.NAT
        and not (line.charge.group is Group.ADDRESSES and line.resource in gateways)
    ]
    try:
        price = book.price("public-ipv4.hour", Unit.HOUR)
    except MissingPrice as why:
        return _saving(name, kept, takes, {str(why)})
    address = Charge(
        item="public IPv4 address",
        slot="address",
        quantity=HOURS_PER_MONTH,
        unit=Unit.HOUR,
        key="public-ipv4.hour",
        group=Group.ADDRESSES,
    )
    private = [line for line in _hosts(estimate.lines) if line.tier != "lb"]
    added = [replace(line, charge=address, price=price) for line in private] if gateways else []
    return _saving(name, [*kept, *added], takes, set())


def _saving(name: str, lines: Sequence[Line], what_it_takes: str, missing: set[str]) -> Saving:
    unsure = {line.price.key for line in lines if line.price.confidence is Confidence.LOW}
    return Saving(
        name,
        None if missing else total(lines),
        what_it_takes,
        unpriced=tuple(sorted(missing)),
        low_confidence=tuple(sorted(unsure)),
    )

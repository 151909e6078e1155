"""The cost table of the guide (docs/guide.md) beside ours, row by row, with the reason for each difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel

from cost.estimate import Estimate, Line, total
from cost.money import Usd
from cost.prices import HOURS_PER_MONTH, MissingPrice, PriceBook, Unit
from cost.resource_types import Group
from spec.tiers import Tier

GUIDE_TOTAL_USD = Decimal(215)


class GuideRow(BaseModel, frozen=True):
    """A row of the guide's table, or one of ours that it does not have: `guide_usd` null.

    `list_usd`: what the guide's own words cost at list price; null where it names nothing that has a price.
    """

    component: str
    guide_usd: Usd | None
    list_usd: Usd | None
    ours_usd: Usd
    why: str


@dataclass(frozen=True)
class _GuideHosts:
    """One row of the guide's table: its words, its figure, and the hosts that are meant."""

    component: str
    usd: Decimal
    instance_type: str
    count: int
    tier: Tier
    type_is_ours: bool = False


_GUIDE = (
    _GuideHosts("Load Balancer", Decimal(20), "t3.micro", 1, Tier.LB, type_is_ours=True),
    _GuideHosts("2x App Servers (t3.medium)", Decimal(120), "t3.medium", 2, Tier.APP),
    _GuideHosts("2x DB Servers (t3.small)", Decimal(60), "t3.small", 2, Tier.DB),
    _GuideHosts("Redis (t3.micro)", Decimal(15), "t3.micro", 1, Tier.CACHE),
)
_GUIDE_TIERS = {row.tier for row in _GUIDE}

# What the guide has no row for. Every line that is no host of one of its rows belongs to exactly one of these.
_MISSING: tuple[tuple[str, Callable[[Line], bool], str], ...] = (
    (
        "Monitor and other hosts",
        lambda line: line.group is Group.HOSTS and line.tier not in _GUIDE_TIERS,
        "the guide sets up a failover monitor, and its table has no row for it",
    ),
    (
        "Disks",
        lambda line: line.group is Group.DISKS,
        "every host has a root volume, and data outlives its host",
    ),
    ("NAT gateways", lambda line: line.group is Group.NAT, "private hosts need outbound access for security updates"),
    (
        "Public IPv4 addresses",
        lambda line: line.group is Group.ADDRESSES,
        "AWS bills each one since 2024-02-01, in use or not",
    ),
    (
        "Data transfer",
        lambda line: line.group is Group.TRANSFER,
        "what visitors get, and what crosses between the two zones, is billed by the GB",
    ),
    (
        "Backups",
        lambda line: line.group is Group.BACKUPS,
        "the guide's table has no row for them; the price of RDS includes its own",
    ),
    (
        "Alarms, alerts, releases",
        lambda line: line.group in (Group.ALERTS, Group.OBJECTS, Group.OTHER),
        "CloudWatch watches every host, and hosts fetch their release from a bucket",
    ),
)


def guide_rows(estimate: Estimate, book: PriceBook) -> list[GuideRow]:
    """The guide's four rows, then ours that it does not have; the sum of `ours_usd` is the estimate's total."""
    rows = [_guide_row(promised, estimate, book) for promised in _GUIDE]
    for component, belongs, why in _MISSING:
        ours_usd = total(line for line in estimate.lines if belongs(line))
        rows.append(GuideRow(component=component, guide_usd=None, list_usd=None, ours_usd=ours_usd, why=why))
    return rows


def _guide_row(promised: _GuideHosts, estimate: Estimate, book: PriceBook) -> GuideRow:
    ours = [line for line in estimate.lines if line.group is Group.HOSTS and line.tier is promised.tier]
    listed: Decimal | None = None
    try:
        hourly = book.price(f"ec2.{promised.instance_type}.hour", Unit.HOUR).usd
    except MissingPrice as missing:
        why = str(missing)
    else:
        listed = hourly * HOURS_PER_MONTH * promised.count
        why = _difference(promised, hourly, listed, ours)
    return GuideRow(
        component=promised.component, guide_usd=promised.usd, list_usd=listed, ours_usd=total(ours), why=why
    )


def _difference(promised: _GuideHosts, hourly: Decimal, listed: Decimal, ours: Sequence[Line]) -> str:
    """How the guide's figure differs from the list price, and its hosts from ours."""
    name, usd = promised.instance_type, promised.usd
    buys = f"${usd} buys {usd / (hourly * HOURS_PER_MONTH):.2f} {name} at ${hourly.normalize():f} an hour"
    ratio = f"the guide's figure is {usd / listed:.2f} times the list price"
    if promised.type_is_ours:
        ratio = f"the guide names no type, ours is a {name}; {ratio}"
    types = sorted({line.instance_type for line in ours if line.instance_type})
    if len(ours) == promised.count and types == [name]:
        return f"{buys}; {ratio}"
    return f"{buys}; {ratio}; ours are {len(ours)} of {', '.join(types) or 'nothing'}"

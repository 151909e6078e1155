"""The guide's cost table beside ours, line by line, with the reason for each difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from cost.estimate import Estimate, Line, total
from cost.kinds import Group
from cost.prices import HOURS_PER_MONTH, MissingPrice, PriceBook, Unit

GUIDE_TOTAL_USD = Decimal(215)


@dataclass(frozen=True)
class GuideRow:
    """A row of the guide, or one that it lacks (`guide_usd` None).

    :ivar list_usd: what the guide's own words cost at list price; None where it names nothing that has a price.
    """

    component: str
    guide_usd: Decimal | None
    list_usd: Decimal | None
    ours_usd: Decimal
    why: str


@dataclass(frozen=True)
class _Promise:
    """One row of the guide: its words, its figure, and the hosts that are meant."""

    component: str
    usd: Decimal
    instance_type: str
    count: int
    tier: str
    type_is_ours: bool = False


_GUIDE = (
    _Promise("Load Balancer", Decimal(20), "t3.micro", 1, "lb", type_is_ours=True),
    _Promise("2x App Servers (t3.medium)", Decimal(120), "t3.medium", 2, "app"),
    _Promise("2x DB Servers (t3.small)", Decimal(60), "t3.small", 2, "db"),
    _Promise("Redis (t3.micro)", Decimal(15), "t3.micro", 1, "cache"),
)

_TIERS = {p.tier for p in _GUIDE}


def _hosts(line: Line) -> bool:
    return line.charge.group is Group.HOSTS


# What the guide has no row for. Every line that is no host of one of its rows falls under exactly one of these.
_MISSING: tuple[tuple[str, Callable[[Line], bool], str], ...] = (
    (
        "Monitor and other hosts",
        lambda line: _hosts(line) and line.tier not in _TIERS,
        "the guide's database fails over by a monitor, which it sets up and has no row for",
    ),
    (
        "Disks",
        lambda line: line.charge.group is Group.DISKS,
        "every host has a root volume, and data outlives its host",
    ),
    ("NAT gateways", lambda line: line.charge.group is Group.NAT, "private hosts need a way out for security updates"),
    (
        "Public IPv4 addresses",
        lambda line: line.charge.group is Group.ADDRESSES,
        "AWS bills each one since 2024-02-01, in use or not",
    ),
    (
        "Data transfer",
        lambda line: line.charge.group is Group.TRANSFER,
        "what visitors get, and what crosses between the two zones, is billed by the GB",
    ),
    (
        "Alarms, alerts, releases",
        lambda line: line.charge.group in (Group.ALERTS, Group.OBJECTS, Group.OTHER),
        "somebody must be told, and hosts fetch their release from a bucket",
    ),
)


def compare(estimate: Estimate, book: PriceBook) -> list[GuideRow]:
    """The guide's four rows, then ours that it lacks; the sum of `ours_usd` is the estimate's total."""
    rows = [_promised(promise, estimate, book) for promise in _GUIDE]
    for component, belongs, why in _MISSING:
        rows.append(GuideRow(component, None, None, total([li for li in estimate.lines if belongs(li)]), why))
    return rows


def _promised(promise: _Promise, estimate: Estimate, book: PriceBook) -> GuideRow:
    ours = [line for line in estimate.lines if _hosts(line) and line.tier == promise.tier]
    try:
        hourly = book.price(f"ec2.{promise.instance_type}.hour", Unit.HOUR).usd
    except MissingPrice as missing:
        return GuideRow(promise.component, promise.usd, None, total(ours), str(missing))
    one = hourly * HOURS_PER_MONTH
    listed = one * promise.count
    buys = f"${promise.usd} buys {promise.usd / one:.2f} {promise.instance_type} at ${hourly.normalize():f} an hour"
    ratio = f"the guide's figure is {promise.usd / listed:.2f} times the list price"
    if promise.type_is_ours:
        ratio = f"the guide names no type, ours is a {promise.instance_type}; {ratio}"
    types = sorted({line.charge.item.removeprefix("instance ") for line in ours})
    why = f"{buys}; {ratio}"
    if len(ours) != promise.count or types != [promise.instance_type]:
        why += f"; ours are {len(ours)} of {', '.join(types) or 'nothing'}"
    return GuideRow(promise.component, promise.usd, listed, total(ours), why)

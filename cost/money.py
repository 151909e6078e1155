"""Amounts: exact sums in the program, numbers in JSON, rounded text for people. Rounding happens here alone."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import PlainSerializer

# A JSON number with the digits of the Decimal: up to 15 of them, a float is written as it was read.
Usd = Annotated[Decimal, PlainSerializer(float, when_used="json")]
Quantity = Usd

_CENT = Decimal("0.01")


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def usd(amount: Decimal) -> str:
    """`$1,234.50`, `-$0.05`; what is under half a cent but not nothing is `<$0.01`."""
    if amount and not cents(amount):
        return "<$0.01" if amount > 0 else ">-$0.01"
    return f"{'-' if amount < 0 else ''}${abs(cents(amount)):,}"


def usd_or_dash(amount: Decimal | None) -> str:
    return "-" if amount is None else usd(amount)


def signed_usd(amount: Decimal) -> str:
    """A difference with its sign: `+$3.65`, `-$1.00`, `$0.00`."""
    return f"+{usd(amount)}" if cents(amount) > 0 else usd(amount)


def percent(before: Decimal, after: Decimal) -> str:
    """`+17%`; empty when there was nothing before or nothing changed."""
    if not before or before == after:
        return ""
    return f"{(after - before) / before * 100:+.0f}%"


def quantity(amount: Decimal) -> str:
    """`730`, `0.001`, `1,460`."""
    normal = amount.normalize()
    return f"{normal:,f}"


def price(amount: Decimal) -> str:
    """A price of one unit, with all its digits and at least two: `$0.0416`, `$0.10`."""
    normal = amount.normalize()
    return f"${normal:f}" if normal.as_tuple().exponent <= -2 else f"${amount:.2f}"  # type: ignore[operator]

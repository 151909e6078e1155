"""The price book: list prices as data, one row a price, each with its source, its date and how sure it is.

A row that is not exactly what it should be is refused when the file is read: no estimate uses a price that is not a
number, is negative, has a duplicate key or an unknown unit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from spec.errors import EXIT_USAGE, HaError

PRICES_DIR = Path(__file__).resolve().parent / "prices"
HOURS_PER_MONTH = Decimal(730)  # as AWS's own calculator: 8760 hours a year / 12


class Unit(StrEnum):
    """What one price is for."""

    HOUR = "hours"
    GB = "GB"
    GB_MONTH = "GB-months"
    IOPS_MONTH = "IOPS-months"
    MIBPS_MONTH = "MiB/s-months"
    LCU_HOUR = "LCU-hours"
    ALARM_MONTH = "alarms"
    METRIC_MONTH = "metrics"
    REQUESTS_1K = "1k requests"
    REQUESTS_1M = "1M requests"
    NOTIFICATIONS_100K = "100k notifications"


class Confidence(StrEnum):
    """`high`: read in AWS's price list or in a machine-made extract of it. `medium`: an older capture, a bill, or a
    derivation. `low`: not confirmed by a second public source; carried into the report."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, kw_only=True)
class Price:
    """One row. `usd` is for one `unit`; `source` is a URL, `note` how it was read there."""

    key: str
    region: str
    what: str
    unit: Unit
    usd: Decimal
    source: str
    as_of: date
    confidence: Confidence
    note: str = ""

    def row(self) -> dict[str, str]:
        """As it is written in its file; the number keeps its digits."""
        row = {
            "key": self.key,
            "region": self.region,
            "what": self.what,
            "unit": str(self.unit),
            "usd": format(self.usd, "f"),
            "source": self.source,
            "as_of": self.as_of.isoformat(),
            "confidence": str(self.confidence),
        }
        return {**row, "note": self.note} if self.note else row


class MissingPrice(Exception):
    """There is no such row; the message says which region and key."""


@dataclass(frozen=True)
class PriceBook:
    """The prices of one region, whose file is in `folder`."""

    region: str
    prices: Mapping[str, Price]
    folder: Path = PRICES_DIR

    def in_region(self, region: object) -> PriceBook:
        """The book of a region. :raises MissingPrice: when there is none."""
        if region == self.region:
            return self
        if region not in regions(self.folder):
            raise MissingPrice(f"it is in region {region}, which has no prices")
        return _loaded(str(region), self.folder)

    def price(self, key: str, unit: Unit) -> Price:
        """The row of a key. :raises MissingPrice: when there is none, or it is for another unit."""
        found = self.prices.get(key)
        if found is None:
            raise MissingPrice(f"no price {key} in region {self.region}")
        if found.unit is not unit:
            raise MissingPrice(f"the price {key} in region {self.region} is for {found.unit}, not for {unit}")
        return found


_FIELDS = {"key", "region", "what", "unit", "usd", "source", "as_of", "confidence"}


def regions(folder: Path = PRICES_DIR) -> list[str]:
    """The regions that have a price file."""
    return sorted(p.stem for p in folder.glob("*.json"))


def price_file(region: str, folder: Path = PRICES_DIR) -> Path:
    return folder / f"{region}.json"


def load(region: str, folder: Path = PRICES_DIR) -> PriceBook:
    """A region's price book.

    :raises FileNotFoundError: when the region has no file.
    :raises HaError: (exit 2) naming the file and the row that is refused.
    """
    path = price_file(region, folder)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _refused(path.name, f"it is not JSON: {error}") from None
    if not isinstance(rows, list):
        raise _refused(path.name, "it is not a list of rows")
    prices: dict[str, Price] = {}
    for number, row in enumerate(rows, 1):
        price = _price(row, region, f"{path.name}, row {number}")
        if price.key in prices:
            raise _refused(f"{path.name}, row {number}", f"duplicate key {price.key}")
        prices[price.key] = price
    return PriceBook(region, prices, folder)


_loaded = cache(load)


def dump(prices: Iterator[Price]) -> str:
    """The text of a price file: one row a line, by key, so that a change of a price is a change of a line."""
    lines = [json.dumps(p.row(), ensure_ascii=False) for p in sorted(prices, key=lambda p: p.key)]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _price(row: Any, region: str, where: str) -> Price:
    if not isinstance(row, dict):
        raise _refused(where, "it is not a JSON object")
    where = f"{where} ({row.get('key', 'no key')})"
    if missing := sorted(_FIELDS - set(row)):
        raise _refused(where, f"missing: {', '.join(missing)}")
    if unknown := sorted(set(row) - _FIELDS - {"note"}):
        raise _refused(where, f"unknown: {', '.join(unknown)}")
    if wrong := sorted(name for name, value in row.items() if not isinstance(value, str)):
        raise _refused(where, f"not a string: {', '.join(wrong)} (put a price in quotes, so that it keeps its digits)")
    if empty := sorted(name for name, value in row.items() if not value.strip()):
        raise _refused(where, f"empty: {', '.join(empty)}")
    if row["region"] != region:
        raise _refused(where, f"its region is {row['region']}, not {region}")
    try:
        return Price(
            key=row["key"],
            region=region,
            what=row["what"],
            unit=Unit(row["unit"]),
            usd=_usd(row["usd"]),
            source=row["source"],
            as_of=date.fromisoformat(row["as_of"]),
            confidence=Confidence(row["confidence"]),
            note=row.get("note", ""),
        )
    except ValueError as error:
        raise _refused(where, str(error)) from None


def _usd(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"usd {text!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"usd {text!r} is not a decimal number")
    if number < 0:
        raise ValueError(f"usd {text!r} is negative")
    return number


def _refused(where: str, why: str) -> HaError:
    return HaError(
        f"invalid price: {why}",
        where=f"cost/prices/{where}",
        fix="fix the row, or fetch it again with `ha prices refresh`",
        exit_code=EXIT_USAGE,
    )

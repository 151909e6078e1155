"""`ha prices check`: rows that are old, unused or not confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cost.price_list import known_regions, query
from cost.prices import Confidence, load, regions

OLD_DAYS = 90


@dataclass(frozen=True)
class Findings:
    """Rows as `region key`. `unused`: no resource type and no comparison uses it."""

    rows: int
    stale: tuple[str, ...]
    unused: tuple[str, ...]
    unconfirmed: tuple[str, ...]


def check(folder: Path, today: date) -> Findings:
    """Checks every row. :raises HaError: (exit 2) when a row is invalid."""
    stale, unused, unconfirmed = [], [], []
    rows = 0
    for region in regions(folder):
        for price in load(region, folder).prices.values():
            rows += 1
            name = f"{region} {price.key}"
            if (age := (today - price.as_of).days) > OLD_DAYS:
                stale.append(f"{name}: {age} days old")
            if region in known_regions() and query(price.key, region) is None:
                unused.append(name)
            if price.confidence is Confidence.LOW:
                unconfirmed.append(f"{name}: {price.note or price.source}")
    return Findings(rows, tuple(stale), tuple(unused), tuple(unconfirmed))


def text(findings: Findings) -> str:
    parts = [f"{findings.rows} prices"]
    for title, rows in (
        (f"older than {OLD_DAYS} days (`ha prices refresh` fetches them again)", findings.stale),
        ("unused (delete them)", findings.unused),
        ("not confirmed by a second source", findings.unconfirmed),
    ):
        parts.append("\n".join([f"{len(rows)} {title}", *(f"  {row}" for row in rows)]))
    return "\n".join(parts)

"""The price book refuses, when it is read, all that is not exactly a price."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost import price_check, prices
from cost.price_list import query
from cost.prices import Confidence, MissingPrice, Unit
from spec.errors import HaError
from spec.instance_types import catalogue

Row = dict[str, Any]


def spoil(folder: Path, change: Callable[[list[Row]], None]) -> None:
    path = folder / "us-east-1.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def first(**values: Any) -> Callable[[list[Row]], None]:
    return lambda rows: rows[0].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (first(usd="NaN"), "usd 'NaN' is not a decimal number"),
        (first(usd="Infinity"), "usd 'Infinity' is not a decimal number"),
        (first(usd="-0.01"), "usd '-0.01' is negative"),
        (first(usd="free"), "usd 'free' is not a decimal number"),
        (first(usd="0,0225"), "usd '0,0225' is not a decimal number"),
        (first(usd=0.0225), "not a string: usd"),
        (first(usd=""), "empty: usd"),
        (first(unit="fortnights"), "'fortnights' is not a valid Unit"),
        (first(confidence="sure"), "'sure' is not a valid Confidence"),
        (first(as_of="yesterday"), "Invalid isoformat string"),
        (first(region="us-east-2"), "its region is us-east-2"),
        (first(comment="cheap"), "unknown: comment"),
        (lambda rows: rows[0].pop("source"), "missing: source"),
        (lambda rows: rows.append(dict(rows[0])), "duplicate key alb.hour"),
        (lambda rows: rows.append("alb"), "it is not a JSON object"),
    ],
)
def test_a_row_that_is_not_a_price_is_refused_by_file_and_row(
    change: Callable[[list[Row]], None], said: str, prices_dir: Path
) -> None:
    spoil(prices_dir, change)
    with pytest.raises(HaError) as refused:
        prices.load("us-east-1", prices_dir)
    assert refused.value.exit_code == 2
    assert said in refused.value.what
    assert "us-east-1.json, row " in refused.value.where


@pytest.mark.parametrize("text", [b"", b"[{", b'{"key": "alb.hour"}', b"\xff\xfe["])
def test_a_file_that_is_no_list_of_rows_is_refused(text: bytes, prices_dir: Path) -> None:
    (prices_dir / "us-east-1.json").write_bytes(text)
    with pytest.raises(HaError) as refused:
        prices.load("us-east-1", prices_dir)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-west-1"])
def test_every_region_has_what_a_stack_and_its_comparisons_need(region: str) -> None:
    book = prices.load(region)
    hosts = {f"ec2.{family}.{size}.hour" for family in ("t3", "t4g") for size in ("micro", "small", "medium")}
    others = {
        "ebs.gp3.gb", "ebs.gp3.iops", "ebs.gp3.throughput", "nat-gateway.hour", "nat-gateway.gb", "public-ipv4.hour",
        "transfer.internet.gb", "transfer.cross-zone.gb", "s3.standard.gb", "s3.put", "s3.get", "cloudwatch.alarm",
        "cloudwatch.metric", "sns.requests", "sns.email", "alb.hour", "alb.lcu",
        "rds.postgres.multi-az.db.t3.small.hour", "rds.multi-az.gp3.gb", "elasticache.redis.cache.t3.micro.hour",
    }  # fmt: skip
    assert hosts | others <= set(book.prices)


def test_every_instance_type_that_settings_take_has_a_price_in_us_east_1() -> None:
    book = prices.load("us-east-1")
    assert [name for name in catalogue() if f"ec2.{name}.hour" not in book.prices] == []


@pytest.mark.parametrize("region", prices.regions())
def test_every_row_says_where_it_is_from_and_can_be_refreshed(region: str) -> None:
    for price in prices.load(region).prices.values():
        assert price.source.startswith("https://"), price.key
        assert price.confidence is Confidence.HIGH or price.note, price.key
        asked = query(price.key, region)
        assert asked is not None, price.key
        assert asked.unit is price.unit, price.key


def test_the_files_are_as_they_would_be_written() -> None:
    """So that a refresh changes the lines of the prices that changed, and no others."""
    for region in prices.regions():
        book = prices.load(region)
        assert prices.dump(iter(book.prices.values())) == prices.price_file(region).read_text(encoding="utf-8")


def test_a_missing_price_says_key_and_region(book: prices.PriceBook) -> None:
    with pytest.raises(MissingPrice, match=r"no price ec2\.t9\.huge\.hour in region us-east-1"):
        book.price("ec2.t9.huge.hour", Unit.HOUR)
    with pytest.raises(MissingPrice, match="is for hours, not for GB"):
        book.price("nat-gateway.hour", Unit.GB)


def test_check_names_old_unused_and_unconfirmed_rows(prices_dir: Path) -> None:
    for region in ("us-west-2", "eu-west-1"):
        (prices_dir / f"{region}.json").unlink()

    def change(rows: list[Row]) -> None:
        for row in rows:
            row.update(as_of="2026-08-01", confidence="high")
        rows[0].update(as_of="2026-05-02")  # 91 days before the first of August
        rows[1].update(as_of="2026-05-03")  # 90 days: not yet old
        rows[2].update(confidence="low", note="heard of")
        rows.append({**rows[0], "key": "quantum.hour", "as_of": "2026-08-01"})

    spoil(prices_dir, change)
    keys = [row["key"] for row in json.loads((prices_dir / "us-east-1.json").read_text())]
    found = price_check.check(prices_dir, date(2026, 8, 1))
    assert found.stale == (f"us-east-1 {keys[0]}: 91 days old",)
    assert found.unused == ("us-east-1 quantum.hour",)
    assert found.unconfirmed == (f"us-east-1 {keys[2]}: heard of",)
    assert found.rows == len(keys)
    assert "quantum.hour" in price_check.text(found)


def test_digits_are_kept(prices_dir: Path) -> None:
    spoil(prices_dir, first(usd="0.02250000001"))
    book = prices.load("us-east-1", prices_dir)
    assert book.prices["alb.hour"].usd == Decimal("0.02250000001")

"""`ha prices refresh`: fetches every row again from AWS's Price List API. One bad answer, and no file is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cost.price_list import Query, query
from cost.prices import PRICES_DIR, Confidence, Price, dump, load, price_file
from spec.errors import EXIT_FAILED, EXIT_USAGE, HaError

# The only regions with the API: https://docs.aws.amazon.com/general/latest/gr/billing.html
API_REGIONS = ("us-east-1", "eu-central-1", "ap-south-1")


@dataclass(frozen=True)
class Changed:
    """A price that is different now."""

    region: str
    key: str
    before: Decimal
    after: Decimal


def client(api_region: str) -> Any:
    """A client of the Price List API. :raises HaError: (exit 2) in a region that does not have it."""
    if api_region not in API_REGIONS:
        raise HaError(
            f"region {api_region} does not have the Price List API",
            where="--api-region",
            fix=f"take one of {', '.join(API_REGIONS)}",
            exit_code=EXIT_USAGE,
        )
    return boto3.client(
        "pricing", region_name=api_region, config=Config(retries={"mode": "standard", "total_max_attempts": 5})
    )


def refresh(
    pricing: Any, of_regions: Sequence[str], folder: Path = PRICES_DIR, today: date | None = None
) -> list[Changed]:
    """Fetches every row of the regions and writes their files.

    :raises HaError: when a row has no price or several; then no file is changed.
    """
    day = today or datetime.now(UTC).date()
    files: dict[Path, str] = {}
    changed: list[Changed] = []
    for region in of_regions:
        if not price_file(region, folder).is_file():
            raise HaError(
                f"there is no price file for region {region}",
                where=f"cost/prices/{region}.json",
                fix="copy another region's, change `region` in every row, and run this again: it fetches the prices",
                exit_code=EXIT_USAGE,
            )
        rows = []
        for price in load(region, folder).prices.values():
            new = _refreshed(pricing, price, day)
            rows.append(new)
            if new.usd != price.usd:
                changed.append(Changed(region, price.key, price.usd, new.usd))
        files[price_file(region, folder)] = dump(iter(rows))
    for path, content in files.items():
        _replace(path, content)
    return changed


def text(changed: Sequence[Changed]) -> str:
    if not changed:
        return "no price changed; every row has today's date"
    return "\n".join(f"{c.region} {c.key}: {c.before} -> {c.after}" for c in changed)


def _refreshed(pricing: Any, price: Price, day: date) -> Price:
    try:
        asked = query(price.key, price.region)
    except KeyError:
        raise _refused(price, "its region is not in cost/price_list.py", "add the region") from None
    if asked is None:
        raise _refused(price, "no resource type uses it", "delete the row")
    amounts = {usd for product in _products(pricing, asked, price) for usd in _amounts(product, asked)}
    if not amounts:
        raise _refused(price, "AWS lists no price that matches", "check whether AWS still sells it under this name")
    if len(amounts) > 1:
        found = " and ".join(format(a, "f") for a in sorted(amounts))
        raise _refused(price, f"AWS lists several prices: {found}", "make its filters in cost/price_list.py exact")
    return replace(
        price,
        usd=_shortest(amounts.pop()),
        source=f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/{asked.service}/current/{price.region}/index.json",
        as_of=day,
        confidence=Confidence.HIGH,
        note="Price List API, GetProducts",
    )


def _products(pricing: Any, asked: Query, price: Price) -> Iterator[Mapping[str, Any]]:
    """The products whose usage type is exactly one of those meant."""
    filters = [{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in sorted(asked.filters.items())]
    request: dict[str, Any] = {"ServiceCode": asked.service, "Filters": filters, "FormatVersion": "aws_v1"}
    while True:
        try:
            answer = pricing.get_products(**request)
        except (BotoCoreError, ClientError) as error:
            raise HaError(
                f"the Price List API call failed: {error}",
                where=f"pricing:GetProducts for {price.key} in {price.region}",
                fix="use credentials that may call pricing:GetProducts",
                exit_code=EXIT_FAILED,
            ) from None
        for entry in answer["PriceList"]:
            product = json.loads(entry, parse_float=Decimal)
            if product["product"]["attributes"].get("usagetype") in asked.usage_types:
                yield product
        if not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def _amounts(product: Mapping[str, Any], asked: Query) -> Iterator[Decimal]:
    """The price of the first tier, in our unit; of a reservation, its hourly part."""
    for term in product.get("terms", {}).get("Reserved" if asked.reserved else "OnDemand", {}).values():
        if asked.reserved and any(term["termAttributes"].get(k) != v for k, v in asked.reserved.items()):
            continue
        for dimension in term["priceDimensions"].values():
            ours = asked.of_ours(dimension["unit"])
            if ours is not None and dimension.get("beginRange", "0") == "0" and "USD" in dimension["pricePerUnit"]:
                yield Decimal(dimension["pricePerUnit"]["USD"]) / ours


def _shortest(amount: Decimal) -> Decimal:
    """Without the zeros that AWS fills up with, but with two digits for cents."""
    normal = amount.normalize()
    return normal if normal.as_tuple().exponent <= -2 else normal.quantize(Decimal("0.01"))  # type: ignore[operator]


def _replace(path: Path, content: str) -> None:
    """Puts the new file in place of the old one at once."""
    new = path.with_suffix(".json.new")
    new.write_text(content, encoding="utf-8")
    new.replace(path)


def _refused(price: Price, why: str, fix: str) -> HaError:
    return HaError(
        f"no price was changed: {price.key} in {price.region}: {why}",
        where=f"cost/prices/{price.region}.json, cost/price_list.py",
        fix=fix,
        exit_code=EXIT_FAILED,
    )

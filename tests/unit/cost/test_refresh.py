"""Prices fetched from recorded answers of AWS's Price List API. One bad answer, and no file is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cost import prices, refresh
from cost.price_list import query
from spec.errors import HaError

DAY = date(2026, 11, 1)


def product(
    attributes: Mapping[str, str],
    usd: str,
    unit: str = "Hrs",
    *,
    begin: str = "0",
    term: str = "OnDemand",
    term_attributes: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> str:
    """One entry of a PriceList, as the API gives it: JSON in a string, prices filled up with zeros."""
    dimensions = {
        "S.T.D": {
            "unit": unit,
            "beginRange": begin,
            "endRange": "Inf",
            "description": f"${usd} per {unit}",
            "appliesTo": [],
            "rateCode": "S.T.D",
            "pricePerUnit": {"USD": usd},
        },
        **(more or {}),
    }
    terms = {term: {"S.T": {"priceDimensions": dimensions, "termAttributes": term_attributes or {}, "sku": "S"}}}
    return json.dumps({"product": {"sku": "S", "attributes": dict(attributes)}, "terms": terms, "version": "2026"})


@pytest.fixture
def pricing() -> Iterator[Any]:
    client = boto3.client("pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def book_with(folder: Path, *rows: tuple[str, str]) -> Path:
    """A price file of us-east-1 with the rows of these keys and, as stale prices, these amounts."""
    kept = prices.load("us-east-1").prices
    path = folder / "us-east-1.json"
    path.write_text(json.dumps([{**kept[key].row(), "usd": usd, "as_of": "2020-01-01"} for key, usd in rows]))
    return path


def expect(stub: Stubber, key: str, entries: Sequence[str], *, token: str = "", after: str = "") -> None:
    """The question that must be asked for a key, filter by filter, and its answer."""
    asked = query(key, "us-east-1")
    assert asked is not None
    request: dict[str, Any] = {
        "ServiceCode": asked.service,
        "FormatVersion": "aws_v1",
        "Filters": [{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in sorted(asked.filters.items())],
    }
    if after:
        request["NextToken"] = after
    answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": list(entries)}
    if token:
        answer["NextToken"] = token
    stub.add_response("get_products", answer, request)


def test_the_filters_of_an_instance_are_exact() -> None:
    asked = query("ec2.t3.micro.hour", "us-west-2")
    assert asked is not None
    assert asked.filters == {
        "regionCode": "us-west-2",
        "productFamily": "Compute Instance",
        "instanceType": "t3.micro",
        "tenancy": "Shared",
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    assert asked.usage_types == ("USW2-BoxUsage:t3.micro",)


def test_a_price_is_taken_with_its_digits_source_and_date(tmp_path: Path, pricing: Any) -> None:
    client, stub = pricing
    path = book_with(tmp_path, ("ec2.t3.micro.hour", "0.5"))
    expect(stub, "ec2.t3.micro.hour", [product({"usagetype": "BoxUsage:t3.micro"}, "0.0104000000")])
    changed = refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    assert [(c.key, c.before, c.after) for c in changed] == [("ec2.t3.micro.hour", Decimal("0.5"), Decimal("0.0104"))]
    (row,) = json.loads(path.read_text())
    assert (row["usd"], row["as_of"], row["confidence"]) == ("0.0104", "2026-11-01", "high")
    assert row["source"].endswith("/AmazonEC2/current/us-east-1/index.json")
    assert "ec2.t3.micro.hour: 0.5 -> 0.0104" in refresh.text(changed)


def test_neighbours_that_the_apis_filters_let_through_are_left_out(tmp_path: Path, pricing: Any) -> None:
    client, stub = pricing
    book_with(tmp_path, ("nat-gateway.hour", "1"))
    answers = [
        product({"usagetype": "RegionalNatGateway-Hours"}, "0.0900000000"),
        product({"usagetype": "NatGateway-Prvd-Bytes"}, "0.0120000000", "GB"),
        product({"usagetype": "NatGateway-Hours"}, "0.0450000000"),
    ]
    expect(stub, "nat-gateway.hour", answers[:2], token="more")
    expect(stub, "nat-gateway.hour", answers[2:], after="more")
    refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    assert prices.load("us-east-1", tmp_path).prices["nat-gateway.hour"].usd == Decimal("0.045")


@pytest.mark.parametrize(
    ("key", "usage_type", "usd", "unit", "expected"),
    [
        # gp3 throughput is sold by the MiB/s and listed by the GiB/s.
        ("ebs.gp3.throughput", "EBS:VolumeP-Throughput.gp3", "40.9600000000", "GiBps-mo", "0.04"),
        ("s3.put", "Requests-Tier1", "0.0000050000", "Requests", "0.005"),
        ("sns.requests", "USE1-Requests-Tier1", "0.0000005000", "Requests", "0.50"),
        ("cloudwatch.alarm", "CW:AlarmMonitorUsage", "0.1000000000", "Alarms", "0.10"),
        ("cloudwatch.metric", "CW:MetricMonitorUsage", "0.3000000000", "Metrics", "0.30"),
        ("public-ipv4.hour", "USE1-PublicIPv4:InUseAddress", "0.0050000000", "Hrs", "0.005"),
    ],
)
def test_units_are_turned_into_ours(
    key: str, usage_type: str, usd: str, unit: str, expected: str, tmp_path: Path, pricing: Any
) -> None:
    client, stub = pricing
    path = book_with(tmp_path, (key, "9"))
    expect(stub, key, [product({"usagetype": usage_type}, usd, unit)])
    refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    assert json.loads(path.read_text())[0]["usd"] == expected


def test_the_first_tier_is_taken_and_a_reservation_by_its_terms(tmp_path: Path, pricing: Any) -> None:
    client, stub = pricing
    book_with(tmp_path, ("s3.standard.gb", "9"), ("ec2.t3.medium.reserved-1yr.hour", "9"))
    next_tier = {"S.T.E": {"unit": "GB-Mo", "beginRange": "51200", "pricePerUnit": {"USD": "0.0220000000"}}}
    expect(
        stub,
        "s3.standard.gb",
        [product({"usagetype": "TimedStorage-ByteHrs"}, "0.0230000000", "GB-Mo", more=next_tier)],
    )
    ours = {"LeaseContractLength": "1yr", "OfferingClass": "standard", "PurchaseOption": "No Upfront"}
    convertible = {**ours, "OfferingClass": "convertible"}
    box = {"usagetype": "BoxUsage:t3.medium"}
    expect(
        stub,
        "ec2.t3.medium.reserved-1yr.hour",
        [
            product(box, "0.0300000000", term="Reserved", term_attributes=convertible),
            product(box, "0.0261000000", term="Reserved", term_attributes=ours),
        ],
    )
    refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    found = prices.load("us-east-1", tmp_path).prices
    assert found["s3.standard.gb"].usd == Decimal("0.023")
    assert found["ec2.t3.medium.reserved-1yr.hour"].usd == Decimal("0.0261")


def test_the_same_price_twice_is_one_price(tmp_path: Path, pricing: Any) -> None:
    client, stub = pricing
    book_with(tmp_path, ("ec2.t3.micro.hour", "9"))
    entry = product({"usagetype": "BoxUsage:t3.micro"}, "0.0104000000")
    expect(stub, "ec2.t3.micro.hour", [entry, entry])
    refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    assert prices.load("us-east-1", tmp_path).prices["ec2.t3.micro.hour"].usd == Decimal("0.0104")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            [
                product({"usagetype": "BoxUsage:t3.small"}, "0.0208000000"),
                product({"usagetype": "BoxUsage:t3.small"}, "0.0229000000"),
            ],
            "AWS lists several prices: 0.0208000000 and 0.0229000000",
        ),
        ([], "AWS lists no price that matches"),
        ([product({"usagetype": "DedicatedUsage:t3.small"}, "0.0208000000")], "AWS lists no price that matches"),
        ([product({"usagetype": "BoxUsage:t3.small"}, "0.0208000000", "Quantity")], "AWS lists no price that matches"),
    ],
)
def test_what_is_not_understood_changes_no_file(entries: list[str], said: str, tmp_path: Path, pricing: Any) -> None:
    client, stub = pricing
    path = book_with(tmp_path, ("ec2.t3.micro.hour", "9"), ("ec2.t3.small.hour", "9"))
    before = path.read_bytes()
    expect(stub, "ec2.t3.micro.hour", [product({"usagetype": "BoxUsage:t3.micro"}, "0.0104000000")])
    expect(stub, "ec2.t3.small.hour", entries)
    with pytest.raises(HaError) as refused:
        refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    assert said in refused.value.what
    assert "ec2.t3.small.hour in us-east-1" in refused.value.what
    assert refused.value.exit_code == 1
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["us-east-1.json"]


def test_a_call_that_aws_refuses_is_reported_and_changes_no_file(tmp_path: Path, pricing: Any) -> None:
    client, stub = pricing
    path = book_with(tmp_path, ("ec2.t3.micro.hour", "9"))
    before = path.read_bytes()
    stub.add_client_error("get_products", "AccessDeniedException", "not yours")
    with pytest.raises(HaError, match="the Price List API call failed"):
        refresh.refresh(client, ["us-east-1"], tmp_path, DAY)
    assert path.read_bytes() == before


def test_a_region_without_a_file_is_refused_before_anything_is_asked(tmp_path: Path, pricing: Any) -> None:
    client, _ = pricing
    with pytest.raises(HaError) as refused:
        refresh.refresh(client, ["mars-north-1"], tmp_path, DAY)
    assert refused.value.exit_code == 2


def test_rows_that_nothing_uses_are_refused(tmp_path: Path, pricing: Any) -> None:
    client, _ = pricing
    path = book_with(tmp_path, ("nat-gateway.hour", "9"))
    path.write_text(path.read_text().replace("nat-gateway.hour", "quantum.hour"))
    with pytest.raises(HaError, match="no resource type uses it"):
        refresh.refresh(client, ["us-east-1"], tmp_path, DAY)

"""Every resource is in the estimate: as lines, as free for a reason, or as unpriced for one."""

from __future__ import annotations

import pytest

from cost.estimate import Estimate, estimate
from cost.prices import Price, PriceBook, Unit, load
from cost.resources import Resource
from cost.usage import Usage
from spec.tiers import Tier
from tests.unit.cost.conftest import Make


@pytest.mark.parametrize(
    ("type_", "name"), [("aws:ec2/eip:Eip", "address"), ("pulumi:providers:aws", "west")], ids=["resource", "provider"]
)
def test_what_is_in_another_region_is_priced_there_or_not_at_all(
    type_: str, name: str, book: PriceBook, assumed: Usage
) -> None:
    here = Resource(type=type_, name=name, component="", inputs={"region": "us-east-1"})
    assert estimate([here], book, assumed).unpriced == ()
    there = Resource(type=type_, name=name, component="", inputs={"region": "eu-west-1"})
    assert estimate([there], book, assumed).lines == estimate([there], load("eu-west-1"), assumed).lines
    nowhere = Resource(type=type_, name=name, component="", inputs={"region": "ap-south-2"})
    (unpriced,) = estimate([nowhere], book, assumed).unpriced
    assert unpriced.resource == name
    assert "it is in region ap-south-2, which has no prices" in unpriced.reason


def test_a_type_in_neither_list_is_unpriced_by_name(book: PriceBook, assumed: Usage) -> None:
    resource = Resource(type="aws:rds/instance:Instance", name="db", component="database", inputs={})
    found = estimate([resource], book, assumed)
    assert [(u.component, u.resource, u.type) for u in found.unpriced] == [
        ("database", "db", "aws:rds/instance:Instance")
    ]
    assert "aws:rds/instance:Instance" in found.unpriced[0].reason
    assert (found.lines, found.free) == ((), ())


def host(number: int) -> Resource:
    inputs = {
        "instanceType": "m6g.large",
        "rootBlockDevice": {"volumeType": "gp3", "volumeSize": 8},
        "tags": {"ha:tier": "app"},
    }
    return Resource(
        type="aws:ec2/instance:Instance", name=f"app{number}", component=f"hosts/app{number}", inputs=inputs
    )


@pytest.mark.parametrize(
    ("tags", "tier"),
    [({"ha:tier": "db"}, Tier.DB), ({"ha:tier": "other"}, None), ({"ha:tier": ["db"]}, None), ({}, None), (None, None)],
)
def test_a_line_has_the_tier_that_its_resource_is_tagged_with(
    tags: object, tier: Tier | None, book: PriceBook, assumed: Usage
) -> None:
    resource = Resource(type="aws:ec2/eip:Eip", name="a", component="", inputs={"tags": tags})
    (line,) = estimate([resource], book, assumed).lines
    assert line.tier is tier


def test_each_charge_is_looked_up_once_however_many_hosts_there_are(book: PriceBook, assumed: Usage) -> None:
    class CountingBook(PriceBook):
        asked = 0

        def price(self, key: str, unit: Unit) -> Price:
            type(self).asked += 1
            return super().price(key, unit)

    def estimated(count: int) -> tuple[Estimate, int]:
        CountingBook.asked = 0
        found = estimate([host(n) for n in range(count)], CountingBook(book.region, book.prices), assumed)
        return found, CountingBook.asked

    for count in (5, 200):
        found, asked = estimated(count)
        assert asked == len(found.lines) == 2 * count


def test_each_application_host_is_four_lines(report_of: Make) -> None:
    """The instance, its disk and two alarms."""
    counted = [
        len(report_of("dev", *changes).lines) for changes in ((), ("application.count=3",), ("application.count=4",))
    ]
    assert [more - counted[0] for more in counted] == [0, 4, 8]

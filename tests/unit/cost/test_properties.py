"""What holds for any estate: sums are exact, nothing is left out, more never costs less."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from cost import prices, usage
from cost.diff import compare
from cost.estimate import estimate
from cost.report import Report, make
from cost.resources import Resource

BOOK = prices.load("us-east-1")
ASSUMED = usage.load()
TYPES = sorted(key.split(".")[1] + "." + key.split(".")[2] for key in BOOK.prices if key.startswith("ec2."))


def _instance(number: int, type_: str, gib: int, tier: str) -> Resource:
    inputs = {
        "instanceType": type_,
        "creditSpecification": {"cpuCredits": "standard"},
        "rootBlockDevice": {"volumeType": "gp3", "volumeSize": float(gib)},
        "tags": {"ha:tier": tier},
    }
    return Resource(
        type="aws:ec2/instance:Instance", name=f"host{number}", component=f"hosts/host{number}", inputs=inputs
    )


def _volume(number: int, gib: int, iops: int, throughput: int) -> Resource:
    inputs = {"type": "gp3", "size": float(gib), "iops": float(iops), "throughput": float(throughput)}
    return Resource(type="aws:ebs/volume:Volume", name=f"volume{number}", component="disks", inputs=inputs)


hosts = st.builds(
    _instance,
    st.integers(0, 10**6),
    st.sampled_from(TYPES),
    st.integers(1, 16_384),
    st.sampled_from(["lb", "app", "db", "cache", "monitor", ""]),
)
volumes = st.builds(
    _volume, st.integers(0, 10**6), st.integers(1, 16_384), st.integers(3000, 16_000), st.integers(125, 1000)
)
others = st.sampled_from(
    [
        Resource(type="aws:ec2/natGateway:NatGateway", name="nat", component="network", inputs={}),
        Resource(type="aws:ec2/eip:Eip", name="nat", component="network", inputs={}),
        Resource(type="aws:ec2/vpc:Vpc", name="vpc", component="network", inputs={}),
        Resource(type="aws:iam/role:Role", name="role", component="identity", inputs={}),
        Resource(type="aws:quantum/computer:Computer", name="q", component="", inputs={}),
    ]
)
estates = st.lists(hosts | volumes | others, max_size=12, unique_by=lambda d: (d.type, d.component, d.name))


def report(declared: list[Resource]) -> Report:
    return make("any", Decimal(215), estimate(declared, BOOK, ASSUMED), BOOK, ASSUMED)


@given(estates)
@settings(max_examples=60, deadline=None)
def test_sums_are_exact_and_every_resource_is_somewhere(declared: list[Resource]) -> None:
    found = report(declared)
    assert found.monthly_usd == sum((li.quantity * li.unit_price_usd for li in found.lines), Decimal(0))
    assert found.monthly_usd == sum((row.ours_usd for row in found.guide), Decimal(0))
    assert found.monthly_usd == sum((group.monthly_usd for group in found.groups), Decimal(0))
    named = {(x.component, x.resource, x.type) for group in (found.lines, found.free, found.unpriced) for x in group}
    assert named == {(d.component, d.name, d.type) for d in declared}
    assert found.within_budget is (not found.unpriced and found.monthly_usd <= 215)


@given(estates, hosts | volumes)
@settings(max_examples=60, deadline=None)
def test_more_never_costs_less(declared: list[Resource], more: Resource) -> None:
    before = [d for d in declared if (d.type, d.component, d.name) != (more.type, more.component, more.name)]
    assert report([*before, more]).monthly_usd >= report(before).monthly_usd


@given(st.integers(1, 16_383), st.integers(3000, 15_999), st.integers(125, 999))
@settings(max_examples=60, deadline=None)
def test_a_larger_or_faster_volume_never_costs_less(gib: int, iops: int, throughput: int) -> None:
    here = report([_volume(1, gib, iops, throughput)]).monthly_usd
    for larger in ((gib + 1, iops, throughput), (gib, iops + 1, throughput), (gib, iops, throughput + 1)):
        assert report([_volume(1, *larger)]).monthly_usd > here


@given(estates, estates)
@settings(max_examples=60, deadline=None)
def test_the_lines_of_a_difference_sum_to_the_difference_of_the_totals(a: list[Resource], b: list[Resource]) -> None:
    before, after = report(a), report(b)
    found = compare(before, after)
    assert sum((li.difference_usd for li in found.lines), Decimal(0)) == found.difference_usd
    assert found.difference_usd == after.monthly_usd - before.monthly_usd
    back = compare(after, before)
    assert back.difference_usd == -found.difference_usd
    assert compare(after, after).lines == []


@given(estates)
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_resources_does_not_matter(declared: list[Resource]) -> None:
    def sorted_lines(found: Report) -> list[tuple[str, str, str, Decimal]]:
        return sorted((li.component, li.resource, li.item, li.monthly_usd) for li in found.lines)

    assert sorted_lines(report(declared)) == sorted_lines(report(declared[::-1]))


@given(st.decimals(0, 1, places=6, allow_nan=False), hosts)
@settings(max_examples=30, deadline=None)
def test_a_dearer_price_never_makes_it_cheaper(more: Decimal, host: Resource) -> None:
    dearer = prices.PriceBook(BOOK.region, {k: replace(p, usd=p.usd + more) for k, p in BOOK.prices.items()})
    assert estimate([host], dearer, ASSUMED).monthly_usd >= estimate([host], BOOK, ASSUMED).monthly_usd

"""Subnets and planned addresses: properties over every network that the settings let through."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec.addresses import nat_gateway_address, plan_hosts, plan_subnets
from spec.tiers import Tier

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
networks = st.builds(
    lambda second, third, prefix: IPv4Network(f"10.{second}.{third}.0/{prefix}", strict=False),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(16, 22),
)
zone_counts = st.integers(2, 4)
COUNTS = {Tier.MONITOR: 1, Tier.CACHE: 2, Tier.DB: 2, Tier.APP: 4, Tier.LB: 2}


@given(networks, zone_counts)
def test_subnets_lie_inside_the_vpc_and_do_not_overlap(cidr: IPv4Network, zones: int) -> None:
    subnets = plan_subnets(cidr, ZONES[:zones])
    assert len(subnets) == 2 * zones
    assert all(s.cidr.subnet_of(cidr) for s in subnets)
    for i, one in enumerate(subnets):
        assert not any(one.cidr.overlaps(other.cidr) for other in subnets[i + 1 :])


@given(networks, zone_counts)
def test_adding_a_zone_moves_no_subnet(cidr: IPv4Network, zones: int) -> None:
    before = plan_subnets(cidr, ZONES[: zones - 1])
    after = plan_subnets(cidr, ZONES[:zones])
    assert set(before) < set(after)


@given(networks, zone_counts)
def test_hosts_have_distinct_usable_addresses_in_their_own_subnet(cidr: IPv4Network, zones: int) -> None:
    subnets = plan_subnets(cidr, ZONES[:zones])
    hosts = plan_hosts(subnets, COUNTS)
    taken = [h.address for h in hosts] + [nat_gateway_address(s) for s in subnets if s.public]
    assert len(set(taken)) == len(taken)
    for host in hosts:
        subnet = next(s for s in subnets if s.zone == host.zone and s.public == host.tier.public)
        assert host.address in subnet.cidr
        # AWS keeps the first four addresses and the last.
        assert subnet.cidr.network_address + 3 < host.address < subnet.cidr.broadcast_address


@given(networks, zone_counts, st.integers(2, 60))
def test_a_tier_that_grows_moves_no_host(cidr: IPv4Network, zones: int, count: int) -> None:
    subnets = plan_subnets(cidr, ZONES[:zones])
    small = plan_hosts(subnets, {**COUNTS, Tier.APP: count})
    large = plan_hosts(subnets, {**COUNTS, Tier.APP: count + 1})
    assert set(small) < set(large)


def test_the_layout_of_the_guide_by_hand() -> None:
    subnets = plan_subnets(IPv4Network("10.20.0.0/16"), ZONES[:2])
    assert [(s.name, str(s.cidr)) for s in subnets] == [
        ("public-us-east-1a", "10.20.0.0/19"),
        ("public-us-east-1b", "10.20.32.0/19"),
        ("private-us-east-1a", "10.20.128.0/19"),
        ("private-us-east-1b", "10.20.160.0/19"),
    ]
    hosts = {h.name: h.address for h in plan_hosts(subnets, {Tier.DB: 2, Tier.LB: 1})}
    assert hosts == {
        "db1": IPv4Address("10.20.128.21"),
        "db2": IPv4Address("10.20.160.22"),
        "lb1": IPv4Address("10.20.0.11"),
    }


def test_a_subnet_that_is_too_small_names_the_host_that_does_not_fit() -> None:
    subnets = plan_subnets(IPv4Network("10.20.0.0/24"), ZONES[:2])
    with pytest.raises(ValueError, match="app1 needs address 31 of its subnet"):
        plan_hosts(subnets, COUNTS)

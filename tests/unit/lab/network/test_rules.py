"""The network's rules as text: cases, properties, and the rules of one small snapshot that a person has reviewed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.aws.model import AwsSnapshot, Instance, InternetGateway, Route, Rule, SecurityGroup, Subnet, TargetKind
from lab.network import rules, topology
from tests.unit.lab.network.snapshots import EVERYWHERE, PRIVATE, PUBLIC, host, snapshot, with_route

GOLDEN = Path(__file__).with_name("small-snapshot.nft")


def chain(text: str, name: str) -> list[str]:
    """The lines of one chain."""
    body = text.split(f"\tchain {name} {{\n", 1)[1].split("\n\t}\n", 1)[0]
    return [line.strip() for line in body.splitlines()]


def test_the_small_snapshot_gives_exactly_the_reviewed_rules() -> None:
    assert rules.ruleset(snapshot()) == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "field", "expected"),
    [
        (Rule("tcp", 80, 80, cidr="0.0.0.0/0"), "saddr", ["ip saddr 0.0.0.0/0 tcp dport 80"]),
        (Rule("tcp", 1024, 2047, cidr="10.0.0.0/8"), "daddr", ["ip daddr 10.0.0.0/8 tcp dport 1024-2047"]),
        (Rule("udp", None, None, group_id="sg-lb"), "saddr", ["ip saddr @sg-lb ip protocol udp"]),
        (Rule("112", None, None, group_id="sg-lb"), "saddr", ["ip saddr @sg-lb ip protocol 112"]),
        (Rule("icmp", 8, -1, cidr="10.20.0.0/16"), "saddr", ["ip saddr 10.20.0.0/16 icmp type 8"]),
        (Rule("icmp", 3, 4, cidr="10.20.0.0/16"), "saddr", ["ip saddr 10.20.0.0/16 icmp type 3 icmp code 4"]),
        (Rule("icmp", -1, -1, cidr="10.20.0.0/16"), "saddr", ["ip saddr 10.20.0.0/16 ip protocol icmp"]),
        (Rule("-1", None, None, cidr="0.0.0.0/0"), "daddr", ["ip daddr 0.0.0.0/0"]),
        (Rule("tcp", 443, 443, prefix_list_id="pl-s3"), "daddr", ["ip daddr 198.18.0.20 tcp dport 443"]),
        # A peer that does not exist (any more) lets nobody in.
        (Rule("tcp", 443, 443, prefix_list_id="pl-unknown"), "daddr", []),
        (Rule("tcp", 443, 443, group_id="sg-gone"), "saddr", []),
    ],
)
def test_a_security_group_rule_becomes_a_match(rule: Rule, field: str, expected: list[str]) -> None:
    assert rules.match(snapshot(), rule, field) == expected


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        # No route: nothing leaves.
        ((), ["drop"]),
        ((Route(EVERYWHERE, None, TargetKind.BLACKHOLE, ""),), ["ip daddr 0.0.0.0/0 drop", "drop"]),
        ((Route(EVERYWHERE, None, TargetKind.NAT_GATEWAY, "nat-1"),), ["ip daddr 0.0.0.0/0 accept", "drop"]),
        ((Route(EVERYWHERE, None, TargetKind.NAT_GATEWAY, "nat-gone"),), ["ip daddr 0.0.0.0/0 drop", "drop"]),
        # An internet gateway lets out nobody without a public address.
        ((Route(EVERYWHERE, None, TargetKind.INTERNET_GATEWAY, "igw-1"),), ["ip daddr 0.0.0.0/0 drop", "drop"]),
        # The longest prefix decides.
        (
            (
                Route(EVERYWHERE, None, TargetKind.NAT_GATEWAY, "nat-1"),
                Route(IPv4Network("198.51.100.0/24"), None, TargetKind.BLACKHOLE, ""),
                Route(None, "pl-s3", TargetKind.VPC_ENDPOINT, "vpce-1"),
            ),
            ["ip daddr 198.18.0.20/32 accept", "ip daddr 198.51.100.0/24 drop", "ip daddr 0.0.0.0/0 accept", "drop"],
        ),
        # An endpoint that is not associated with this table is no way.
        ((Route(None, "pl-s3", TargetKind.VPC_ENDPOINT, "vpce-2"),), ["ip daddr 198.18.0.20/32 drop", "drop"]),
    ],
)
def test_a_route_table_says_who_leaves_the_vpc(routes: tuple[Route, ...], expected: list[str]) -> None:
    text = rules.ruleset(with_route(snapshot(), "rtb-prv", *routes))
    assert chain(text, "leave-subnet-prv") == expected


def test_a_nat_gateway_in_a_subnet_without_internet_lets_nothing_out() -> None:
    text = rules.ruleset(with_route(snapshot(), "rtb-pub"))
    assert chain(text, "leave-subnet-prv") == ["ip daddr 198.18.0.20/32 accept", "ip daddr 0.0.0.0/0 drop", "drop"]


def test_a_detached_internet_gateway_lets_nothing_out_or_in() -> None:
    text = rules.ruleset(replace(snapshot(), internet_gateways=(InternetGateway("igw-1", None),)))
    assert chain(text, "leave-subnet-pub") == ["ip daddr 0.0.0.0/0 drop", "drop"]
    assert "dnat" not in "\n".join(chain(text, "arriving"))


def test_a_host_of_a_public_subnet_without_a_public_address_stays_inside() -> None:
    lonely = replace(snapshot(), elastic_ips=snapshot().elastic_ips[1:])
    assert chain(rules.ruleset(lonely), "leave-subnet-pub") == ["ip daddr 0.0.0.0/0 drop", "drop"]


def test_an_elastic_ip_may_land_on_a_secondary_address() -> None:
    lb = host("i-lb1", "10.20.0.10", PUBLIC, "sg-lb", secondary=("10.20.0.11",))
    moved = replace(snapshot().elastic_ips[0], private_ip=IPv4Address("10.20.0.11"))
    text = rules.ruleset(replace(snapshot(), instances=(lb,), elastic_ips=(moved,)))
    assert 'iifname "internet" dnat to ip daddr map { 203.0.113.10 : 10.20.0.11 }' in chain(text, "arriving")
    assert chain(text, "source-subnet-pub") == [
        "ip daddr 0.0.0.0/0 snat to ip saddr map { 10.20.0.11 : 203.0.113.10 }",
    ]


def test_the_source_check_can_be_switched_off() -> None:
    checked = rules.ruleset(snapshot())
    free = rules.ruleset(replace(snapshot(), instances=(host("i-lb1", "10.20.0.10", PUBLIC, "sg-lb", check=False),)))
    assert 'iifname "e-lb1" ip saddr != { 10.20.0.10 } drop' in chain(checked, "check")
    assert not any("e-lb1" in line for line in chain(free, "check"))


def test_hosts_of_two_vpcs_do_not_meet() -> None:
    other = replace(PRIVATE, id="subnet-x", vpc_id="vpc-2", cidr=IPv4Network("10.30.0.0/24"))
    stranger = host("i-x", "10.30.0.10", other, "sg-app")
    two = replace(
        snapshot(),
        subnets=(*snapshot().subnets, other),
        route_tables=(
            *snapshot().route_tables,
            replace(snapshot().route_tables[0], id="rtb-x", vpc_id="vpc-2", routes=()),
        ),
        instances=(*snapshot().instances, stranger),
    )
    accepted = [line for line in chain(rules.ruleset(two), "forward") if line.endswith("accept") and "e-x" in line]
    assert accepted == [
        'iifname "internet" oifname { "e-app1", "e-lb1", "e-x" } accept',
        'iifname { "e-x" } oifname { "e-x" } accept',
    ]


def test_an_empty_snapshot_lets_nothing_through() -> None:
    forward = chain(rules.ruleset(AwsSnapshot()), "forward")
    assert forward[0] == "type filter hook forward priority 0; policy drop;"
    assert not any(" accept" in line for line in forward[1:] if "established" not in line)


@given(
    st.permutations(snapshot().instances),
    st.permutations(snapshot().security_groups),
    st.permutations(snapshot().subnets),
)
def test_the_order_in_which_the_api_lists_things_does_not_matter(
    instances: list[Instance], groups: list[SecurityGroup], subnets: list[Subnet]
) -> None:
    shuffled = replace(snapshot(), instances=tuple(instances), security_groups=tuple(groups), subnets=tuple(subnets))
    assert rules.ruleset(shuffled) == rules.ruleset(snapshot())


@given(st.from_regex(r"i-[0-9a-f]{17}", fullmatch=True))
def test_a_link_s_name_fits_and_is_the_host_s_own(instance_id: str) -> None:
    link = topology.host_link(instance_id)
    assert len(link) <= 15
    assert instance_id.endswith(link.removeprefix("e-"))

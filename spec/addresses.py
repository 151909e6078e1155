"""Address arithmetic: subnets of a VPC and the planned address of every host. Pure.

A VPC is divided into eight equal blocks: four for public subnets, then four for private ones, one for each zone. Within
a subnet every tier has its own range, so that a host's address follows from its tier and number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from spec.tiers import Tier

BLOCK_BITS = 3  # eight blocks: up to four zones, public and private
MAX_ZONES = 4
NAT_GATEWAY_OFFSET = 8  # planned too: an address that AWS picks could be one that a host needs later

_SECOND_ADDRESS = 10  # added to a host's own address: free, because public subnets hold no other tier


@dataclass(frozen=True)
class SubnetPlan:
    """One subnet: its zone, whether it is public, its range."""

    zone: str
    zone_index: int
    public: bool
    cidr: IPv4Network

    @property
    def name(self) -> str:
        return f"{'public' if self.public else 'private'}-{self.zone}"


@dataclass(frozen=True)
class HostPlan:
    """One host before it exists: `db2`, its tier, zone and address.

    `second_address`: on one of two load balancers, the address with which the public address is associated. Its first
    address has a public address of its own: without one it could neither call AWS nor install a package.
    """

    name: str
    tier: Tier
    number: int
    zone: str
    zone_index: int
    address: IPv4Address
    second_address: IPv4Address | None = None


def plan_subnets(cidr: IPv4Network, zones: Sequence[str]) -> tuple[SubnetPlan, ...]:
    """A public and a private subnet in each zone, public ones first.

    :raises ValueError: when the range cannot be divided into eight subnets, or there are more zones than blocks.
    """
    if len(zones) > MAX_ZONES:
        raise ValueError(f"at most {MAX_ZONES} zones")
    blocks = list(cidr.subnets(prefixlen_diff=BLOCK_BITS))
    return tuple(
        SubnetPlan(zone, index, public, blocks[index + (0 if public else MAX_ZONES)])
        for public in (True, False)
        for index, zone in enumerate(zones)
    )


def nat_gateway_address(subnet: SubnetPlan) -> IPv4Address:
    """The address of a NAT gateway in its public subnet."""
    return subnet.cidr.network_address + NAT_GATEWAY_OFFSET


def third_zone_index(zone_count: int) -> int:
    """The monitor's zone: apart from both databases if there is a third one, so that no zone holds two of the three."""
    return 2 if zone_count > 2 else 0


def nat_zone_indexes(zone_count: int, gateways: int) -> tuple[int, ...]:
    """The zones with a NAT gateway. The first, which serves zones without their own, is the monitor's: losing another
    zone does not stop alerts; if the monitor is lost, the load balancers alert through SNS directly.
    """
    first = third_zone_index(zone_count)
    return (first, *(index for index in range(zone_count) if index != first))[:gateways]


def plan_hosts(subnets: Sequence[SubnetPlan], counts: dict[Tier, int]) -> tuple[HostPlan, ...]:
    """Every host of the estate, tier by tier, spread over the zones in turn.

    :raises ValueError: when a host's address does not fit its subnet.
    """
    zone_count = 1 + max(s.zone_index for s in subnets)
    by_place = {(s.zone_index, s.public): s for s in subnets}
    hosts: list[HostPlan] = []
    for tier, count in counts.items():
        for number in range(1, count + 1):
            zone_index = third_zone_index(zone_count) if tier.traits.third_zone else (number - 1) % zone_count
            subnet = by_place[zone_index, tier.public]
            offset = tier.traits.first_address + number
            if offset >= subnet.cidr.num_addresses - 1:
                raise ValueError(
                    f"{tier}{number} needs address {offset} of its subnet, but {subnet.cidr} ends at "
                    f"{subnet.cidr.num_addresses - 2}"
                )
            address = subnet.cidr.network_address + offset
            second = address + _SECOND_ADDRESS if tier.public and count > 1 else None
            hosts.append(HostPlan(f"{tier}{number}", tier, number, subnet.zone, subnet.zone_index, address, second))
    return tuple(hosts)

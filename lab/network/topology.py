"""Names and addresses of the lab's network that are not the stack's own. All are in the lab's namespaces.

client ── internet ── fabric ── one link per host
          │  └── 198.18.0.10, 198.18.0.20: AWS's services and S3, behind TLS
          └── tap0: the uplink to package mirrors, in user space
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final

from lab.aws.moto_internals import PUBLIC_RANGE

SERVICES: Final = IPv4Address("198.18.0.10")
S3: Final = IPv4Address("198.18.0.20")
API_PORT: Final = 4566
"""Where the API listens on the loopback of the internet namespace, without TLS, for the engine and the CLI."""

SERVICES_NETWORK: Final = IPv4Network("198.18.0.0/24")
"""The range of `SERVICES` and `S3`."""

METADATA: Final = IPv4Address("169.254.169.254")
LINK_LOCAL_RESOLVER: Final = IPv4Address("169.254.169.253")

INTERNET_LINK: Final = "internet"
"""The fabric's end of the link to the internet."""
FABRIC_LINK: Final = "vpc"
"""The internet's end of that link."""
INTERNET_ADDRESS: Final = IPv4Interface("100.64.0.1/30")
FABRIC_ADDRESS: Final = IPv4Interface("100.64.0.2/30")

CLIENT_NETWORK: Final = IPv4Network("198.51.100.0/24")
CLIENT_ROUTER: Final = IPv4Interface("198.51.100.1/24")
CLIENT_ADDRESS: Final = IPv4Interface("198.51.100.2/24")

UPLINK: Final = "tap0"
# Not slirp4netns's usual 10.0.2.0/24: a VPC may well be 10.0.0.0/16.
UPLINK_NETWORK: Final = IPv4Network("100.127.255.0/24")
UPLINK_RESOLVER: Final = UPLINK_NETWORK[3]

OWN_RANGES: Final[Mapping[IPv4Network, str]] = {
    SERVICES_NETWORK: "AWS's services",
    INTERNET_ADDRESS.network: "the link between the internet and the VPC",
    CLIENT_NETWORK: "computers outside AWS",
    PUBLIC_RANGE: "Elastic IPs",
    UPLINK_NETWORK: "the uplink to package mirrors",
    IPv4Network("169.254.0.0/16"): "the metadata service and the resolver",
}
"""The ranges that no stack may use, and what the lab uses each for."""

HOST_INTERFACE: Final = "ens5"
"""The name of a host's network interface, as Debian names it on the t3 family."""


def host_link(instance_id: str) -> str:
    """The fabric's end of a host's link (interface names have 15 letters at most)."""
    return f"e-{instance_id.removeprefix('i-')[-12:]}"


def vpc_resolver(cidr: IPv4Network) -> IPv4Address:
    """Where a VPC's resolver is: the third address of its range."""
    return cidr[2]


def router_address(subnet: IPv4Network) -> IPv4Address:
    """Where a subnet's router is: the second address of its range."""
    return subnet[1]

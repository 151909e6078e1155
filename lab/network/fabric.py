"""Keeps the lab's network as the API says: links, routes and rules, applied at each change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from lab.aws.model import AwsSnapshot
from lab.network import rules, topology
from lab.network.namespace import Namespace
from lab.network.topology import FABRIC_ADDRESS, INTERNET_ADDRESS
from lab.process import ProgramFailed

log = logging.getLogger(__name__)

_ROUTER = {
    "net.ipv4.ip_forward": 1,
    # ARP requests of hosts are answered for each address that has a route, as a VPC's router does.
    "net.ipv4.conf.all.proxy_arp": 1,
    "net.ipv4.conf.default.proxy_arp": 1,
    # A reply may come by another link than the request would leave by; the rules check sources.
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv6.conf.all.disable_ipv6": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
}

_INTERNET_RULES = f"""
table ip internet
delete table ip internet
table ip internet {{
	chain forward {{
		type filter hook forward priority 0; policy accept;
		# Load and faults stay inside: the client cannot reach the machine's network.
		iifname "client" oifname "{topology.UPLINK}" drop
		iifname "{topology.UPLINK}" ct state new drop
	}}
	chain postrouting {{
		type nat hook postrouting priority 100; policy accept;
		oifname "{topology.UPLINK}" masquerade
	}}
}}
"""


class Fabric:
    """The namespaces of the network and what is configured in them."""

    def __init__(self, directory: Path) -> None:
        """Makes the namespaces and links. `directory` is on a mount that is private to the caller."""
        self.internet = Namespace.own()
        self.vpc = Namespace.create("fabric", directory)
        self.client = Namespace.create("client", directory)
        self._lock = threading.Lock()
        self._ruleset = ""
        self._local: set[IPv4Address] = set()
        self._host_routes: set[tuple[IPv4Address, str]] = set()
        self._outside_routes: set[str] = set()
        self._set_up()

    def _set_up(self) -> None:
        for namespace in (self.internet, self.vpc):
            namespace.sysctl(_ROUTER)
        # The internet has no hosts of its own that it must answer for.
        self.internet.sysctl({"net.ipv4.conf.all.proxy_arp": 0, "net.ipv4.conf.default.proxy_arp": 0})
        self.internet.ip(
            [
                "link set lo up",
                f"address add {topology.SERVICES}/32 dev lo",
                f"address add {topology.S3}/32 dev lo",
                f"link add {topology.FABRIC_LINK} type veth peer name {topology.INTERNET_LINK} netns {self.vpc.path}",
                f"link add client type veth peer name internet netns {self.client.path}",
                f"address add {INTERNET_ADDRESS} dev {topology.FABRIC_LINK}",
                f"address add {topology.CLIENT_ROUTER} dev client",
                f"link set {topology.FABRIC_LINK} up",
                "link set client up",
            ]
        )
        self.client.ip(
            [
                f"address add {topology.CLIENT_ADDRESS} dev internet",
                "link set internet up",
                f"route add default via {topology.CLIENT_ROUTER.ip}",
            ]
        )
        self.vpc.ip(
            [
                f"address add {FABRIC_ADDRESS} dev {topology.INTERNET_LINK}",
                f"link set {topology.INTERNET_LINK} up",
                f"route add default via {INTERNET_ADDRESS.ip}",
                f"address add {topology.METADATA}/32 dev lo",
                f"address add {topology.LINK_LOCAL_RESOLVER}/32 dev lo",
            ]
        )
        # No host is on the link to the internet: no ARP request is answered there.
        self.vpc.sysctl({f"net.ipv4.conf.{topology.INTERNET_LINK}.proxy_arp": 0})
        self.internet.run(["nft", "-f", "-"], stdin=_INTERNET_RULES)
        self.vpc.run(["nft", "-f", "-"], stdin=rules.ruleset(AwsSnapshot()))

    def apply(self, snapshot: AwsSnapshot, live: set[str]) -> None:
        """Makes the network what the snapshot says. `live` are the ids of the instances whose link exists."""
        with self._lock:
            text = rules.ruleset(snapshot)
            if text != self._ruleset:
                self.vpc.run(["nft", "-f", "-"], stdin=text)
                self._ruleset = text
            self._apply_local_addresses(snapshot)
            self._apply_host_routes(snapshot, live)
            self._apply_outside_routes(snapshot)

    def _apply_local_addresses(self, snapshot: AwsSnapshot) -> None:
        wanted = {topology.vpc_resolver(vpc.cidr) for vpc in snapshot.vpcs}
        wanted |= {topology.router_address(subnet.cidr) for subnet in snapshot.subnets}
        lines = [f"address del {one}/32 dev lo" for one in sorted(self._local - wanted)]
        lines += [f"address add {one}/32 dev lo" for one in sorted(wanted - self._local)]
        self.vpc.ip(lines)
        self._local = wanted

    def _apply_host_routes(self, snapshot: AwsSnapshot, live: set[str]) -> None:
        wanted = {
            (address, topology.host_link(host.id))
            for host in rules.hosts_of(snapshot)
            if host.id in live
            for address in rules.addresses_of(host)
        }
        # The kernel removes routes with their link: one that is gone already is no error.
        self.vpc.ip([f"route del {a}/32 dev {link}" for a, link in self._host_routes - wanted], force=True)
        self._host_routes &= wanted
        new = wanted - self._host_routes
        for link in sorted({link for _, link in new}):
            addresses = sorted(address for address, one in new if one == link)
            if self._set_up_link(link, addresses):
                self._host_routes |= {(address, link) for address in addresses}

    def _set_up_link(self, link: str, addresses: Sequence[IPv4Address]) -> bool:
        """Brings a link and its routes up; false when the link has just gone with its host."""
        try:
            # By default Linux delays answers for other hosts by up to 0.8 s; this is set link by link.
            self.vpc.sysctl({f"net.ipv4.neigh.{link}.proxy_delay": 0})
            self.vpc.ip([f"link set {link} up", *(f"route replace {one}/32 dev {link}" for one in addresses)])
        except (FileNotFoundError, ProgramFailed):
            if self.vpc.has_link(link):
                raise
            log.info("the link %s is gone", link)
            return False
        return True

    def forget_link(self, instance_id: str) -> None:
        """To be called when a host's link is gone, and its routes with it."""
        with self._lock:
            link = topology.host_link(instance_id)
            self._host_routes = {pair for pair in self._host_routes if pair[1] != link}

    def _apply_outside_routes(self, snapshot: AwsSnapshot) -> None:
        """Routes from the internet to the VPC's public addresses, one by one: not all of the range is the VPC's."""
        wanted = {f"{address}/32" for address in snapshot.public_addresses().values()}
        # For S3's replies to hosts that use a gateway endpoint, and so keep their own addresses.
        wanted |= {str(vpc.cidr) for vpc in snapshot.vpcs if not vpc.default}
        via = f"via {FABRIC_ADDRESS.ip}"
        self.internet.ip([f"route del {one} {via}" for one in sorted(self._outside_routes - wanted)], force=True)
        self.internet.ip([f"route replace {one} {via}" for one in sorted(wanted - self._outside_routes)])
        self._outside_routes = wanted

    def set_host_link(self, instance_id: str, *, up: bool) -> None:
        """Takes a host's link down, as a pulled cable does, or brings it up with its routes."""
        link = topology.host_link(instance_id)
        with self._lock:
            self.vpc.ip([f"link set {link} {'up' if up else 'down'}"])
            if up:
                self.vpc.ip([f"route replace {a}/32 dev {one}" for a, one in self._host_routes if one == link])

"""nftables rules for what the API says: a pure function from an `AwsSnapshot` to a text that `nft -f` applies at once.

The path of a packet from a host: source/destination check; then, if it starts a connection, the sender's security
groups, the receiver's security groups, and the route table of the sender's subnet, which also decides its address
outside. Replies follow their connection, as security groups are stateful. The metadata service and the resolver are
not subject to security groups or routes, as in a VPC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from lab.aws.model import (
    ANY_PROTOCOL,
    AwsSnapshot,
    Instance,
    Route,
    RouteTable,
    Rule,
    Subnet,
    TargetKind,
)
from lab.network import topology

TABLE = "vpc"
_S3_SUFFIX = ".s3"


@dataclass(frozen=True)
class Egress:
    """What happens to packets to `destination` that leave the VPC: dropped, unless one of the fields says otherwise."""

    destination: IPv4Network
    public_of: tuple[tuple[IPv4Address, IPv4Address], ...] = ()
    """Internet gateway: private and public address of each host that has one."""
    nat: IPv4Address | None = None
    """NAT gateway: its public address, which all hosts of the subnet share."""
    plain: bool = False
    """Gateway endpoint: delivered with the sender's own address."""


def ruleset(snapshot: AwsSnapshot) -> str:
    """The whole table, replacing what is there; the same snapshot gives the same text."""
    hosts = sorted(hosts_of(snapshot), key=lambda one: one.id)
    subnets = sorted(snapshot.subnets, key=lambda one: (one.cidr, one.id))
    used = [subnet for subnet in subnets if any(host.subnet_id == subnet.id for host in hosts)]
    egress = {subnet.id: egress_of(snapshot, subnet) for subnet in used}
    lines = [f"table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    lines += _group_sets(snapshot, hosts)
    lines += _input_chains(snapshot, hosts)
    lines += _forward_chain(hosts, used)
    for host in hosts:
        lines += _host_chains(snapshot, host)
    for subnet in used:
        lines += _chain(f"leave-{subnet.id}", [*_leave_rules(egress[subnet.id]), "drop"])
    lines += _nat_chains(snapshot, used, egress)
    lines.append("}")
    return "\n".join(lines) + "\n"


def hosts_of(snapshot: AwsSnapshot) -> list[Instance]:
    """The instances that hold an address."""
    return [one for one in snapshot.instances if one.private_ip is not None]


def addresses_of(host: Instance) -> tuple[IPv4Address, ...]:
    """All private addresses of a host, the primary one first."""
    return (*([host.private_ip] if host.private_ip else []), *host.secondary_ips)


def has_internet_route(snapshot: AwsSnapshot, subnet: Subnet) -> bool:
    """Whether a subnet is public: its default route leads to an internet gateway that its VPC has."""
    return any(
        route.cidr is not None and route.cidr.prefixlen == 0 and _is_internet(snapshot, subnet, route)
        for route in snapshot.route_table_of(subnet.id).routes
    )


def egress_of(snapshot: AwsSnapshot, subnet: Subnet) -> tuple[Egress, ...]:
    """What each route of a subnet does with packets that leave the VPC, the longest prefix first."""
    table = snapshot.route_table_of(subnet.id)
    found = [
        _egress(snapshot, subnet, table, route, destination)
        for route in table.routes
        if route.kind is not TargetKind.LOCAL
        for destination in _destinations(snapshot, route)
    ]
    return tuple(sorted(found, key=lambda one: (-one.destination.prefixlen, one.destination)))


def _egress(snapshot: AwsSnapshot, subnet: Subnet, table: RouteTable, route: Route, destination: IPv4Network) -> Egress:
    if _is_internet(snapshot, subnet, route):
        public = snapshot.public_addresses()
        mine = sorted(
            (private, public[private])
            for host in hosts_of(snapshot)
            if host.subnet_id == subnet.id
            for private in addresses_of(host)
            if private in public
        )
        return Egress(destination, public_of=tuple(mine))
    if route.kind is TargetKind.NAT_GATEWAY:
        for gateway in snapshot.nat_gateways:
            # A NAT gateway reaches the internet by the routes of its own subnet.
            if gateway.id == route.target_id and has_internet_route(snapshot, snapshot.subnet(gateway.subnet_id)):
                return Egress(destination, nat=gateway.public_ip)
    if route.kind is TargetKind.VPC_ENDPOINT:
        known = any(one.id == route.target_id and table.id in one.route_table_ids for one in snapshot.endpoints)
        return Egress(destination, plain=known)
    # Routes to another host's interface are not followed yet: nothing of the estate has one.
    return Egress(destination)


def _is_internet(snapshot: AwsSnapshot, subnet: Subnet, route: Route) -> bool:
    return route.kind is TargetKind.INTERNET_GATEWAY and any(
        gateway.id == route.target_id and gateway.vpc_id == subnet.vpc_id for gateway in snapshot.internet_gateways
    )


def _destinations(snapshot: AwsSnapshot, route: Route) -> list[IPv4Network]:
    if route.cidr is not None:
        return [route.cidr]
    return [IPv4Network(address) for address in prefix_list(snapshot, route.prefix_list_id)]


def prefix_list(snapshot: AwsSnapshot, prefix_list_id: str | None) -> list[IPv4Address]:
    """The addresses of a prefix list; of AWS's lists the lab has S3's only."""
    name = snapshot.prefix_lists.get(prefix_list_id or "", "")
    return [topology.S3] if name.endswith(_S3_SUFFIX) else []


def _chain(name: str, rules: Iterable[str], hook: str = "") -> list[str]:
    head = [f"\t\ttype {hook}"] if hook else []
    return [f"\tchain {name} {{", *head, *(f"\t\t{rule}" for rule in rules), "\t}"]


def _list(items: Iterable[object]) -> str:
    return "{ " + ", ".join(str(item) for item in items) + " }"


def _links(hosts: Iterable[Instance]) -> str:
    return _list(f'"{topology.host_link(host.id)}"' for host in hosts)


def _group_sets(snapshot: AwsSnapshot, hosts: Sequence[Instance]) -> list[str]:
    lines = []
    for group in sorted(snapshot.security_groups, key=lambda one: one.id):
        members = sorted(
            address for host in hosts if group.id in host.security_group_ids for address in addresses_of(host)
        )
        elements = [f"\t\telements = {_list(members)}"] if members else []
        lines += [f"\tset {group.id} {{", "\t\ttype ipv4_addr", *elements, "\t}"]
    return lines


def _input_chains(snapshot: AwsSnapshot, hosts: Sequence[Instance]) -> list[str]:
    """The source check, and the services that hosts may use on the fabric itself."""
    check = [
        f'iifname "{topology.host_link(host.id)}" ip saddr != {_list(addresses_of(host))} drop'
        for host in hosts
        if host.source_dest_check
    ]
    resolvers = [topology.LINK_LOCAL_RESOLVER, *sorted(topology.vpc_resolver(vpc.cidr) for vpc in snapshot.vpcs)]
    accept = [
        'iifname "lo" accept',
        "ct state established,related accept",
        f'iifname "e-*" ip daddr {topology.METADATA} tcp dport 80 accept',
        f'iifname "e-*" ip daddr {_list(resolvers)} udp dport 53 accept',
        f'iifname "e-*" ip daddr {_list(resolvers)} tcp dport 53 accept',
    ]
    return [
        *_chain("check", check, hook="filter hook prerouting priority -150; policy accept;"),
        *_chain("input", accept, hook="filter hook input priority 0; policy drop;"),
    ]


def _forward_chain(hosts: Sequence[Instance], subnets: Sequence[Subnet]) -> list[str]:
    rules = [
        "ct state established,related accept",
        "ct state invalid drop",
        # From outside only packets to a public address come in.
        f'iifname "{topology.INTERNET_LINK}" ct status & dnat == 0 drop',
    ]
    if hosts:
        sent = ", ".join(f'"{topology.host_link(one.id)}" : jump from-{one.id}' for one in hosts)
        received = ", ".join(f'"{topology.host_link(one.id)}" : jump to-{one.id}' for one in hosts)
        rules += [f"iifname vmap {{ {sent} }}", f"oifname vmap {{ {received} }}"]
        rules.append(f'iifname "{topology.INTERNET_LINK}" oifname {_links(hosts)} accept')
        for vpc_id in sorted({host.vpc_id for host in hosts}):
            own = _links(host for host in hosts if host.vpc_id == vpc_id)
            rules.append(f"iifname {own} oifname {own} accept")
    for subnet in subnets:
        mine = [host for host in hosts if host.subnet_id == subnet.id]
        rules.append(f'iifname {_links(mine)} oifname "{topology.INTERNET_LINK}" jump leave-{subnet.id}')
    return _chain("forward", rules, hook="filter hook forward priority 0; policy drop;")


def _host_chains(snapshot: AwsSnapshot, host: Instance) -> list[str]:
    """A host's security groups: `return` lets a packet pass; at the end of the chain it is dropped."""
    groups = [group for group in snapshot.security_groups if group.id in host.security_group_ids]
    sent = sorted({line for group in groups for rule in group.egress for line in match(snapshot, rule, "daddr")})
    received = sorted({line for group in groups for rule in group.ingress for line in match(snapshot, rule, "saddr")})
    return [
        *_chain(f"from-{host.id}", [*(f"{line} return" for line in sent), "drop"]),
        *_chain(f"to-{host.id}", [*(f"{line} return" for line in received), "drop"]),
    ]


def match(snapshot: AwsSnapshot, rule: Rule, peer_field: str) -> list[str]:
    """A security group's rule as nftables matches; `peer_field` is `saddr` for ingress, `daddr` for egress."""
    protocol = _protocol_match(rule)
    if rule.group_id is not None:
        known = any(group.id == rule.group_id for group in snapshot.security_groups)
        peers = [f"ip {peer_field} @{rule.group_id}"] if known else []
    elif rule.prefix_list_id is not None:
        peers = [f"ip {peer_field} {address}" for address in prefix_list(snapshot, rule.prefix_list_id)]
    else:
        peers = [f"ip {peer_field} {rule.cidr}"]
    return [f"{peer} {protocol}".strip() for peer in peers]


def _protocol_match(rule: Rule) -> str:
    if rule.protocol == ANY_PROTOCOL:
        return ""
    if rule.protocol in ("tcp", "udp") and rule.from_port is not None:
        last = rule.from_port if rule.to_port is None else rule.to_port
        ports = str(rule.from_port) if last == rule.from_port else f"{rule.from_port}-{last}"
        return f"{rule.protocol} dport {ports}"
    if rule.protocol == "icmp" and rule.from_port not in (None, -1):
        code = f" icmp code {rule.to_port}" if rule.to_port not in (None, -1) else ""
        return f"icmp type {rule.from_port}{code}"
    return f"ip protocol {rule.protocol}"


def _leave_rules(egress: Sequence[Egress]) -> list[str]:
    rules = []
    for one in egress:
        if one.public_of:
            rules.append(f"ip daddr {one.destination} ip saddr {_list(own for own, _ in one.public_of)} accept")
        verdict = "accept" if one.nat or one.plain else "drop"
        rules.append(f"ip daddr {one.destination} {verdict}")
    return rules


def _nat_chains(snapshot: AwsSnapshot, subnets: Sequence[Subnet], egress: dict[str, tuple[Egress, ...]]) -> list[str]:
    public = {
        outside: inside
        for subnet in subnets
        for one in egress[subnet.id]
        for inside, outside in one.public_of
        if has_internet_route(snapshot, subnet)
    }
    arriving = []
    if public:
        pairs = ", ".join(f"{outside} : {inside}" for outside, inside in sorted(public.items()))
        arriving = [f'iifname "{topology.INTERNET_LINK}" dnat to ip daddr map {{ {pairs} }}']
    leaving = [
        f'oifname "{topology.INTERNET_LINK}" ip saddr {subnet.cidr} jump source-{subnet.id}' for subnet in subnets
    ]
    lines = [
        *_chain("arriving", arriving, hook="nat hook prerouting priority -100; policy accept;"),
        *_chain("leaving", leaving, hook="nat hook postrouting priority 100; policy accept;"),
    ]
    for subnet in subnets:
        rules = []
        for one in egress[subnet.id]:
            if one.public_of:
                pairs = ", ".join(f"{inside} : {outside}" for inside, outside in one.public_of)
                rules.append(f"ip daddr {one.destination} snat to ip saddr map {{ {pairs} }}")
            elif one.nat:
                rules.append(f"ip daddr {one.destination} snat to {one.nat}")
            else:
                rules.append(f"ip daddr {one.destination} return")
        lines += _chain(f"source-{subnet.id}", rules)
    return lines

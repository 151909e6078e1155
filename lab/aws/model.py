"""What exists in the lab's AWS, as its network and its hosts need it: values only, read by `lab.aws.snapshot`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from spec.tags import HOST_TAG

ANY_PROTOCOL = "-1"


class InstanceState(StrEnum):
    """The states of an instance in EC2."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"


class TargetKind(StrEnum):
    """Where a route sends packets."""

    LOCAL = "local"
    INTERNET_GATEWAY = "internet-gateway"
    NAT_GATEWAY = "nat-gateway"
    VPC_ENDPOINT = "vpc-endpoint"
    NETWORK_INTERFACE = "network-interface"
    BLACKHOLE = "blackhole"


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """How an instance's metadata service answers."""

    enabled: bool
    tokens_required: bool
    tags: bool


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance; terminated ones are listed for a while."""

    id: str
    state: InstanceState
    tags: Mapping[str, str]
    instance_type: str
    architecture: str
    """Its image's: `x86_64` or `arm64`."""
    image_id: str
    vpc_id: str
    subnet_id: str
    zone: str
    eni_id: str
    mac: str
    private_ip: IPv4Address | None
    """None once terminated: another instance may have the address."""
    secondary_ips: tuple[IPv4Address, ...]
    public_ip: IPv4Address | None
    """Elastic or auto-assigned public address of the primary private address."""
    security_group_ids: tuple[str, ...]
    source_dest_check: bool
    profile_arn: str | None
    role_name: str | None
    launch_time: str
    """ISO 8601, UTC; `AwsSnapshot.instances` is in launch order."""
    launch_index: int
    metadata: MetadataOptions

    @property
    def name(self) -> str:
        """Host name: the `ha:host` tag, else the Name tag, else the instance's id."""
        return self.tags.get(HOST_TAG) or self.tags.get("Name") or self.id


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC and its primary address range."""

    id: str
    cidr: IPv4Network
    default: bool


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet."""

    id: str
    vpc_id: str
    cidr: IPv4Network
    zone_id: str = ""
    """The zone's id, which is the same in every account, e.g. `use1-az6`."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route: exactly one of `cidr` and `prefix_list_id` is set."""

    cidr: IPv4Network | None
    prefix_list_id: str | None
    kind: TargetKind
    target_id: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A route table, the subnets associated with it, and whether it is its VPC's main table."""

    id: str
    vpc_id: str
    main: bool
    subnet_ids: tuple[str, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class InternetGateway:
    """An internet gateway; `vpc_id` is None while it is detached."""

    id: str
    vpc_id: str | None


@dataclass(frozen=True, slots=True)
class NatGateway:
    """A NAT gateway that is available."""

    id: str
    subnet_id: str
    public_ip: IPv4Address | None


@dataclass(frozen=True, slots=True)
class ElasticIp:
    """An Elastic IP, and the private address and the instance that it is associated with."""

    public_ip: IPv4Address
    private_ip: IPv4Address | None
    instance_id: str | None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One rule for one peer: the protocol is `tcp`, `udp`, `icmp`, a number, or `-1` for any.

    Exactly one of `cidr`, `group_id` and `prefix_list_id` is set. Ports are None for all, or if the protocol has none.
    """

    protocol: str
    from_port: int | None
    to_port: int | None
    cidr: str | None = None
    group_id: str | None = None
    prefix_list_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group; each of its rules names one peer, and they are sorted."""

    id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class VpcEndpoint:
    """A gateway endpoint, and the route tables that it is associated with."""

    id: str
    route_table_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """The instance that a volume is attached to, and the device that was asked for, e.g. `/dev/sdf`."""

    instance_id: str
    device: str


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume."""

    id: str
    size_gib: int
    tags: Mapping[str, str]
    attachment: Attachment | None
    snapshot_id: str | None = None
    """What its first bytes are; None: it was made blank."""


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    """A snapshot of an EBS volume that this account made, pending or completed."""

    id: str
    volume_id: str


@dataclass(frozen=True, slots=True)
class AwsSnapshot:
    """What the API said at one moment: all that network and hosts are made from."""

    vpcs: tuple[Vpc, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    route_tables: tuple[RouteTable, ...] = ()
    internet_gateways: tuple[InternetGateway, ...] = ()
    nat_gateways: tuple[NatGateway, ...] = ()
    elastic_ips: tuple[ElasticIp, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    endpoints: tuple[VpcEndpoint, ...] = ()
    prefix_lists: Mapping[str, str] = field(default_factory=dict)
    """Prefix list id to name, e.g. `com.amazonaws.us-east-1.s3`."""
    instances: tuple[Instance, ...] = ()
    volumes: tuple[Volume, ...] = ()
    volume_snapshots: tuple[VolumeSnapshot, ...] = ()

    def instance(self, instance_id: str) -> Instance | None:
        """The instance of that id, or None."""
        return next((found for found in self.instances if found.id == instance_id), None)

    def instance_at(self, address: IPv4Address) -> Instance | None:
        """The instance that holds a private address, primary or secondary, or None."""
        for found in self.instances:
            if address == found.private_ip or address in found.secondary_ips:
                return found
        return None

    def volume(self, volume_id: str) -> Volume | None:
        """The volume of that id, or None."""
        return next((found for found in self.volumes if found.id == volume_id), None)

    def subnet(self, subnet_id: str) -> Subnet:
        """The subnet of that id; KeyError when there is none."""
        for found in self.subnets:
            if found.id == subnet_id:
                return found
        raise KeyError(subnet_id)

    def vpc(self, vpc_id: str) -> Vpc:
        """The VPC of that id; KeyError when there is none."""
        for found in self.vpcs:
            if found.id == vpc_id:
                return found
        raise KeyError(vpc_id)

    def route_table_of(self, subnet_id: str) -> RouteTable:
        """The route table of a subnet: its own, else its VPC's main one; KeyError when there is no such subnet."""
        vpc_id = self.subnet(subnet_id).vpc_id
        for table in self.route_tables:
            if subnet_id in table.subnet_ids:
                return table
        for table in self.route_tables:
            if table.vpc_id == vpc_id and table.main:
                return table
        raise KeyError(subnet_id)

    def public_addresses(self) -> dict[IPv4Address, IPv4Address]:
        """Private address to public address, for all that have one (Elastic or auto-assigned)."""
        found = {one.private_ip: one.public_ip for one in self.elastic_ips if one.private_ip}
        for instance in self.instances:
            if instance.private_ip and instance.public_ip:
                found.setdefault(instance.private_ip, instance.public_ip)
        return found

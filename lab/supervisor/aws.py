"""Connects the API with the rest: hosts' metadata, commands that run on hosts, calls that change the world."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Address

from components.tiers import Tier
from lab.aws.model import World
from lab.aws.service import AwsService
from lab.hosts.keeper import Keeper
from lab.network.fabric import Fabric


@contextlib.contextmanager
def connected(api: AwsService, keeper: Keeper, fabric: Fabric) -> Iterator[None]:
    """Makes the API know the hosts, for as long as the block."""
    api.on_change = keeper.on_change
    yield
    api.on_change = None


def entry(world: World) -> IPv4Address | None:
    """The public address of the estate: the Elastic IP of a load balancer, else any that is on a host."""
    on_hosts = []
    for address in world.elastic_ips:
        host = world.instance(address.instance_id) if address.instance_id else None
        if host:
            on_hosts.append((host.tags.get("ha:tier") != Tier.LB, address.public_ip))
    return min(on_hosts)[1] if on_hosts else None


def regions() -> list[str]:
    """The regions whose service names the lab answers to: all that the SDK knows S3 in."""
    import boto3

    return sorted(boto3.session.Session().get_available_regions("s3"))

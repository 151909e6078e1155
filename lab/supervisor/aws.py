"""Connects the API with the hosts: their metadata and keys, commands that run on them, changes that they follow."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address

from lab.aws import imds
from lab.aws.actions import Place
from lab.aws.credentials import Credentials
from lab.aws.gate import Gate
from lab.aws.imds import MetadataService, metadata_of
from lab.aws.model import AwsSnapshot
from lab.aws.run_command import Outcome, RunCommand
from lab.aws.service import AwsService
from lab.aws.simulator import IamSimulator
from lab.aws.snapshot import read_user_data
from lab.hosts.driver import Power
from lab.hosts.reconciler import HostReconciler
from lab.network.fabric import Fabric
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.tags import HOST_TAG, TIER_TAG
from spec.tiers import Tier


@contextlib.contextmanager
def connected(api: AwsService, reconciler: HostReconciler, fabric: Fabric) -> Iterator[None]:
    """Makes the API know the hosts, and the hosts the API, for as long as the block."""
    credentials = Credentials()
    clients = api.snapshot_clients()

    def lookup(address: IPv4Address) -> imds.HostMetadata | None:
        return metadata_of(
            reconciler.snapshot,
            address,
            region=api.region,
            account_id=EXAMPLE_ACCOUNT_ID,
            user_data=lambda instance_id: read_user_data(clients, instance_id),
        )

    def on_change(service: str, operation: str, instance_ids: Collection[str]) -> None:
        reconciler.on_change(service, operation, instance_ids)
        if operation == "TerminateInstances":
            credentials.keep_only(driver.instance_id for driver in reconciler.drivers())

    def run_on_host(instance_id: str, lines: Sequence[str], timeout_s: float) -> Outcome:
        driver = reconciler.driver(instance_id)
        if driver is None:
            raise LookupError(f"there is no host for {instance_id}")
        done = driver.machine.run_script("\n".join(lines), timeout_s=timeout_s)
        return Outcome(done.exit_code, done.stdout, done.stderr)

    def online() -> list[str]:
        """The hosts that run: the lab itself stands in for their agent."""
        return [driver.instance_id for driver in reconciler.drivers() if driver.power is Power.ON]

    listener = fabric.vpc.listen(str(imds.ADDRESS), imds.PORT)
    with IamSimulator() as simulator, MetadataService(lookup, credentials).serve(listener):
        gate = Gate(
            credentials=credentials,
            simulator=simulator,
            place=Place(account_id=EXAMPLE_ACCOUNT_ID, region=api.region),
            client=api.client,
        )
        api.layers = [gate, RunCommand(run_on_host, online)]
        api.on_change = on_change
        yield
        api.on_change = None


def entry(snapshot: AwsSnapshot) -> IPv4Address | None:
    """The public address of the estate: the Elastic IP of a load balancer, else any that is on a host.

    One that is a host's own (it says so by its tag) is no way into the estate.
    """
    on_hosts = []
    for address in snapshot.elastic_ips:
        host = snapshot.instance(address.instance_id) if address.instance_id else None
        if host and HOST_TAG not in address.tags:
            on_hosts.append((host.tags.get(TIER_TAG) != Tier.LB, address.public_ip))
    return min(on_hosts)[1] if on_hosts else None


def regions() -> list[str]:
    """The regions whose service names the lab answers to: all that the SDK knows S3 in."""
    import boto3

    return sorted(boto3.session.Session().get_available_regions("s3"))

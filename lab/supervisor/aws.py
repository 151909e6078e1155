"""Connects the API with the hosts: their metadata and keys, commands that run on them, changes that they follow."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from lab.aws import imds
from lab.aws.actions import Place
from lab.aws.console import ConsoleOutput
from lab.aws.credentials import Credentials
from lab.aws.gate import Gate
from lab.aws.imds import MetadataService, metadata_of
from lab.aws.model import AwsSnapshot
from lab.aws.replication import Replication
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
def connected(api: AwsService, reconciler: HostReconciler, fabric: Fabric) -> Iterator[Replication]:
    """Connects the API and the hosts, and copies between buckets, for as long as the block."""
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
            raise LookupError(f"instance {instance_id} has no host in the lab")
        done = driver.machine.run_script("\n".join(lines), timeout_s=timeout_s)
        return Outcome(done.exit_code, done.stdout, done.stderr)

    def online() -> list[str]:
        """The hosts that run: the lab itself stands in for their agent."""
        return [driver.instance_id for driver in reconciler.drivers() if driver.power is Power.ON]

    def console_of(instance_id: str) -> Path | None:
        driver = reconciler.driver(instance_id)
        return driver.machine.console if driver else None

    listener = fabric.vpc.listen(str(imds.ADDRESS), imds.PORT)
    with IamSimulator() as simulator, MetadataService(lookup, credentials).serve(listener):
        gate = Gate(
            credentials=credentials,
            simulator=simulator,
            place=Place(account_id=EXAMPLE_ACCOUNT_ID, region=api.region),
            client=api.client,
        )
        api.layers = [gate, RunCommand(run_on_host, online), ConsoleOutput(console_of)]
        api.on_change = on_change
        copies = Replication(simulator=simulator, roles=gate.roles, client=api.client)
        with copies.running():
            yield copies
        api.on_change = None


def powered_off(api: AwsService, instance_id: str) -> None:
    """A host has shut itself down: EC2 stops its instance, or terminates it if it was launched so."""
    ec2 = api.client("ec2")
    asked = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior")
    if asked["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate":
        # The call returns when the host is gone, and the thread that called this is the host's own.
        threading.Thread(target=ec2.terminate_instances, kwargs={"InstanceIds": [instance_id]}, daemon=True).start()
    else:
        ec2.stop_instances(InstanceIds=[instance_id])


def public_address(snapshot: AwsSnapshot) -> IPv4Address | None:
    """The public address of the estate: the Elastic IP of a load balancer, else that of any host.

    An Elastic IP with a host tag is the host's own, not the estate's.
    """
    on_hosts = []
    for address in snapshot.elastic_ips:
        host = snapshot.instance(address.instance_id) if address.instance_id else None
        if host and HOST_TAG not in address.tags:
            on_hosts.append((host.tags.get(TIER_TAG) != Tier.LB, address.public_ip))
    return min(on_hosts)[1] if on_hosts else None


def regions() -> list[str]:
    """The regions for whose service names the lab answers: all that the SDK lists for S3."""
    import boto3

    return sorted(boto3.session.Session().get_available_regions("s3"))

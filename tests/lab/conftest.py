"""The lab tier: real hosts on this machine. A machine that cannot run it fails the tier, it does not skip it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from lab import preflight, process
from lab.aws.service import client
from lab.image.contents import ImageKind
from lab.lab import Lab, LabOptions
from lab.network.namespace import Namespace
from lab.process import Argument, Finished
from lab.supervisor.config import MachineImage
from lab.waiting import eventually
from spec.errors import HaError

REGION = "us-east-1"
IMAGE = MachineImage(name="debian-13-amd64-test", owner="136693071363", architecture="x86_64")
READY_S = 120.0


@pytest.fixture(scope="session", autouse=True)
def machine_can_run_the_lab() -> None:
    """Checks what the lab needs. :raises HaError: naming what is missing, which fails every test of the tier."""
    preflight.check_system()
    preflight.check_kernel()


def free_ports() -> dict[int, int]:
    """Two ports that are free now, so that a lab of the user is not in the way."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(2):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
    return {80: found[0], 443: found[1]}


def options(kind: ImageKind = ImageKind.BARE) -> LabOptions:
    """A lab without a stack: what it holds is made by the test, through the API."""
    return LabOptions(stack="test", region=REGION, image_kind=kind, machine_images=(IMAGE,), ports=free_ports())


@dataclass
class SmallEstate:
    """What a test made in a lab through the API."""

    lab: Lab
    ec2: Any
    """Calls go out from within the lab's network."""
    ids: dict[str, str]

    def call(self, operation: str, **arguments: Any) -> Any:
        """One EC2 call, as the operator."""
        return _inside(self.lab).call(lambda: getattr(self.ec2, operation)(**arguments))

    def on_host(self, name: str, *command: Argument, timeout_s: float = 20) -> Finished:
        """Runs a command on a host; failures are returned, also that the host is off."""
        try:
            argv = self.lab.on_host(name, command)
        except HaError as error:
            return Finished(tuple(map(str, command)), -1, "", str(error))
        return process.run(argv, check=False, timeout_s=timeout_s)

    def as_client(self, *command: Argument) -> Finished:
        """Runs a command as a computer outside AWS."""
        return process.run(self.lab.in_network(command, client=True), check=False, timeout_s=20)

    def wait_for(self, name: str, stage: str, deadline_s: float = READY_S) -> None:
        """Waits until a host is in a stage. A host that failed ends the wait."""

        def reached() -> bool:
            phases = {one.name: one for one in self.lab.host_phases()}
            if name not in phases:
                return False
            if phases[name].stage == "failed" != stage:
                raise HaError(f"{name} failed: {phases[name].error}", where=str(phases[name].logs))
            return phases[name].stage == stage

        eventually(f"{name} is {stage}", reached, deadline_s=deadline_s)

    @contextlib.contextmanager
    def serving(self, name: str, port: int) -> Iterator[None]:
        """Something that answers `NAME` on a port of a host, for as long as the block."""
        argv = self.lab.on_host(name, ["socat", f"TCP-LISTEN:{port},fork,reuseaddr", f"SYSTEM:echo {name}"])
        with process.spawn(argv, log=self.lab.paths.state / "logs" / f"{name}-{port}.log"):
            reached = f"ss -ltnH sport = :{port} | grep -q ."
            eventually(
                f"{name} serves {port}",
                lambda: self.on_host(name, "sh", "-c", reached).exit_code == 0,
                deadline_s=10,
            )
            yield
            self.on_host(name, "pkill", "-f", f"TCP-LISTEN:{port},")


def _inside(lab: Lab) -> Namespace:
    return Namespace("lab", Path(f"/proc/{lab.supervisor_pid()}/ns/net"))


def opens(finished: Finished) -> bool:
    """Whether a connection attempt of `try_connect` was accepted and answered."""
    return finished.exit_code == 0 and finished.stdout.strip() != ""


def try_connect(address: str | IPv4Address, port: int) -> Sequence[Argument]:
    """A command that connects and prints what the other side says, within two seconds."""
    return ["timeout", "2", "socat", "-u", f"TCP:{address}:{port},connect-timeout=1", "STDOUT"]


def make_estate(lab: Lab) -> SmallEstate:
    """A VPC with a public and a private subnet, a load balancer with an Elastic IP and an application with a volume."""
    ec2 = client("ec2", lab.endpoint_url, REGION)
    estate = SmallEstate(lab, ec2, {})
    ids, call = estate.ids, estate.call
    ids["vpc"] = call("create_vpc", CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    for name, cidr in (("public", "10.77.0.0/24"), ("private", "10.77.10.0/24")):
        subnet = call("create_subnet", VpcId=ids["vpc"], CidrBlock=cidr, AvailabilityZone=f"{REGION}a")
        ids[name] = subnet["Subnet"]["SubnetId"]
        table = call("create_route_table", VpcId=ids["vpc"])["RouteTable"]["RouteTableId"]
        call("associate_route_table", RouteTableId=table, SubnetId=ids[name])
        ids[f"{name}-routes"] = table
    ids["internet"] = call("create_internet_gateway")["InternetGateway"]["InternetGatewayId"]
    call("attach_internet_gateway", InternetGatewayId=ids["internet"], VpcId=ids["vpc"])
    everywhere = "0.0.0.0/0"
    call("create_route", RouteTableId=ids["public-routes"], DestinationCidrBlock=everywhere, GatewayId=ids["internet"])
    nat_address = call("allocate_address", Domain="vpc")["AllocationId"]
    nat = call("create_nat_gateway", SubnetId=ids["public"], AllocationId=nat_address)
    ids["nat"] = nat["NatGateway"]["NatGatewayId"]
    call("create_route", RouteTableId=ids["private-routes"], DestinationCidrBlock=everywhere, NatGatewayId=ids["nat"])
    call(
        "create_vpc_endpoint",
        VpcId=ids["vpc"],
        ServiceName=f"com.amazonaws.{REGION}.s3",
        RouteTableIds=[ids["private-routes"]],
    )
    for name in ("lb", "app"):
        group = call("create_security_group", GroupName=name, Description=name, VpcId=ids["vpc"])
        ids[f"sg-{name}"] = group["GroupId"]
    allow(estate, "lb", 80, everywhere)
    call(
        "authorize_security_group_ingress",
        GroupId=ids["sg-app"],
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 5000,
                "ToPort": 5000,
                "UserIdGroupPairs": [{"GroupId": ids["sg-lb"]}],
            }
        ],
    )
    ids["lb1"] = launch(estate, "lb1", "public", "10.77.0.10", "lb")
    ids["app1"] = launch(estate, "app1", "private", "10.77.10.10", "app")
    elastic = call("allocate_address", Domain="vpc")
    call("associate_address", AllocationId=elastic["AllocationId"], InstanceId=ids["lb1"])
    ids["elastic"] = elastic["PublicIp"]
    ids["volume"] = call("create_volume", AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    call("attach_volume", VolumeId=ids["volume"], InstanceId=ids["app1"], Device="/dev/sdf")
    return estate


def allow(estate: SmallEstate, group: str, port: int, cidr: str) -> None:
    """Lets a range reach a port of a group's hosts."""
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}
    estate.call("authorize_security_group_ingress", GroupId=estate.ids[f"sg-{group}"], IpPermissions=[permission])


def launch(estate: SmallEstate, name: str, subnet: str, address: str, group: str) -> str:
    """Runs an instance whose cloud-init leaves a file; returns its id."""
    images = estate.call("describe_images", Owners=[IMAGE.owner])["Images"]
    made = estate.call(
        "run_instances",
        ImageId=images[0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        SubnetId=estate.ids[subnet],
        PrivateIpAddress=address,
        SecurityGroupIds=[estate.ids[f"sg-{group}"]],
        UserData=f"#cloud-config\nhostname: {name}\nruncmd:\n- [touch, /var/lib/first-boot]\n",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "ha:host", "Value": name}]}],
    )
    instance_id: str = made["Instances"][0]["InstanceId"]
    return instance_id


@pytest.fixture(scope="session")
def machine_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of its own, beside the one that a user may have running."""
    lab = Lab(tmp_path_factory.mktemp("lab") / "state")
    try:
        lab.start(options())
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="session")
def small_estate(machine_lab: Lab) -> SmallEstate:
    """Two hosts that have booted."""
    estate = make_estate(machine_lab)
    for name in ("lb1", "app1"):
        estate.wait_for(name, "ready")
    return estate

"""One API for all tests, as it takes a while to start; each module begins with an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab.aws import moto_internals
from lab.aws.service import AwsService

REGION = "us-east-1"
IMAGE_NAME = "debian-13-amd64-20260914-2601"
IMAGE_OWNER = "136693071363"


@pytest.fixture(scope="session")
def served() -> Iterator[AwsService]:
    with AwsService(region=REGION) as service:
        yield service


@pytest.fixture(scope="module")
def api(served: AwsService) -> AwsService:
    """The API, with nothing in it."""
    moto_internals.reset()
    return served


@dataclass(frozen=True)
class Network:
    """A small network: a VPC with one subnet in which instances can be launched."""

    ec2: Any
    image_id: str
    vpc_id: str
    subnet_id: str

    def launch(self, address: str, **more: Any) -> dict[str, Any]:
        """Launch an instance at an address, as the provider does. Returns what RunInstances says of it."""
        interface = {
            "DeviceIndex": 0,
            "SubnetId": self.subnet_id,
            "PrivateIpAddress": address,
            **more.pop("interface", {}),
        }
        answer = self.ec2.run_instances(
            ImageId=self.image_id,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[interface],
            **more,
        )
        launched: dict[str, Any] = answer["Instances"][0]
        return launched


@pytest.fixture(scope="module")
def network(api: AwsService) -> Network:
    ec2 = api.client("ec2")
    image_id = api.register_image(name=IMAGE_NAME, owner=IMAGE_OWNER, architecture="x86_64")
    vpc_id = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.20.0.0/24", AvailabilityZone="us-east-1a")
    return Network(ec2, image_id, vpc_id, subnet["Subnet"]["SubnetId"])

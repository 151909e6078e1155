"""What the load balancers' own policy lets them do with addresses, decided as the lab decides it for hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from components.policies import role_policy
from lab.aws.actions import Place
from lab.aws.credentials import Credentials
from lab.aws.gate import Gate
from lab.aws.service import AwsService
from lab.aws.simulator import IamSimulator
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from spec.tags import tags
from spec.tiers import Tier

REGION = "us-east-1"
SCOPE = Scope(
    partition="aws",
    account=EXAMPLE_ACCOUNT_ID,
    region=REGION,
    project="ha",
    stack="prod",
    artifact_bucket="artifacts",
    load_balancers=2,
)
SECOND = "10.20.0.121"


def specification(kind: str, of: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in of.items()]}]


@dataclass
class Addresses:
    """The operator's view of a small estate, and a load balancer's client."""

    ec2: Any
    host: Any
    ids: dict[str, str]

    def holder(self) -> tuple[str | None, str | None]:
        (found,) = self.ec2.describe_addresses(AllocationIds=[self.ids["public"]])["Addresses"]
        return found.get("InstanceId"), found.get("PrivateIpAddress")

    def move(self, address: str, to: str, **more: Any) -> None:
        self.host.associate_address(
            AllocationId=self.ids[address], InstanceId=self.ids[to], AllowReassociation=True, **more
        )


@pytest.fixture(scope="module")
def addresses(api: AwsService, network: Any) -> Iterator[Addresses]:
    api.client("iam").create_role(RoleName="lb", AssumeRolePolicyDocument="{}")
    api.client("iam").put_role_policy(
        RoleName="lb", PolicyName="lb", PolicyDocument=json.dumps(role_policy(Tier.LB, SCOPE))
    )
    ids = {}
    for name, tier, address in (
        ("lb1", Tier.LB, "10.20.0.110"),
        ("lb2", Tier.LB, "10.20.0.111"),
        ("app1", Tier.APP, "10.20.0.112"),
    ):
        own = tags("prod", name, tier=tier, host=name)
        ids[name] = network.launch(address, TagSpecifications=specification("instance", own))["InstanceId"]
    ids["foreign"] = network.launch(
        "10.20.0.113", TagSpecifications=specification("instance", tags("dev", "lb1", tier=Tier.LB, host="lb1"))
    )["InstanceId"]
    (seen,) = network.ec2.describe_instances(InstanceIds=[ids["lb1"]])["Reservations"][0]["Instances"]
    interface = seen["NetworkInterfaces"][0]["NetworkInterfaceId"]
    network.ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=[SECOND])
    for name, own in (
        ("public", tags("prod", "public", tier=Tier.LB)),
        ("own", tags("prod", "lb1-own", tier=Tier.LB, host="lb1")),
    ):
        made = network.ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip", own))
        ids[name] = made["AllocationId"]
    credentials = Credentials()
    key = credentials.issue(ids["lb1"], "lb")
    session: Any = boto3.session.Session(key.access_key, key.secret_key, key.token, REGION)
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    host = session.client("ec2", endpoint_url=api.url, config=config)
    host.meta.events.register("before-send.*", lambda request, **_: request.headers.update({"X-Forwarded-For": SECOND}))
    with IamSimulator() as simulator:
        place = Place(EXAMPLE_ACCOUNT_ID, REGION)
        api.layers = [Gate(credentials=credentials, simulator=simulator, place=place, client=api.client)]
        yield Addresses(network.ec2, host, ids)
        api.layers = []


def test_a_load_balancer_takes_the_public_address_on_its_second_one_and_from_the_other(addresses: Addresses) -> None:
    addresses.move("public", "lb2")
    addresses.move("public", "lb1", PrivateIpAddress=SECOND)
    assert addresses.holder() == (addresses.ids["lb1"], SECOND)
    addresses.move("public", "lb1", PrivateIpAddress=SECOND)  # again changes nothing
    assert addresses.holder() == (addresses.ids["lb1"], SECOND)
    assert addresses.host.describe_addresses()["Addresses"]


@pytest.mark.parametrize(
    ("address", "to"),
    [("public", "app1"), ("public", "foreign"), ("own", "lb2")],
    ids=["not to another tier", "not to another stack", "no other address"],
)
def test_nothing_else_is_moved(addresses: Addresses, address: str, to: str) -> None:
    with pytest.raises(ClientError) as denied:
        addresses.move(address, to)
    assert denied.value.response["Error"]["Code"] == "UnauthorizedOperation"


def test_it_may_not_give_it_away_or_release_it(addresses: Addresses) -> None:
    (seen,) = addresses.ec2.describe_addresses(AllocationIds=[addresses.ids["public"]])["Addresses"]
    with pytest.raises(ClientError):
        addresses.host.disassociate_address(AssociationId=seen["AssociationId"])
    with pytest.raises(ClientError):
        addresses.host.release_address(AllocationId=addresses.ids["public"])

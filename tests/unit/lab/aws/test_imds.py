"""The metadata service over HTTP, asked from two addresses of this machine, as by two instances."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab.aws.credentials import Credentials
from lab.aws.imds import HostMetadata, MetadataService, Tokens, metadata_of
from lab.aws.model import AwsSnapshot, Instance, InstanceState, MetadataOptions, Subnet, Vpc

ONE, TWO, NOBODY = IPv4Address("127.0.0.11"), IPv4Address("127.0.0.12"), IPv4Address("127.0.0.13")
USER_DATA = gzip.compress(b"#cloud-config\n", mtime=0)


def instance(number: int, address: IPv4Address) -> Instance:
    return Instance(
        id=f"i-{number}",
        state=InstanceState.RUNNING,
        tags={"Name": f"dev-db{number}", "ha:stack": "dev"},
        instance_type="t3.small",
        architecture="arm64",
        image_id="ami-1",
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        zone="us-east-1a",
        eni_id=f"eni-{number}",
        mac=f"02:00:00:00:00:0{number}",
        private_ip=address,
        secondary_ips=(),
        public_ip=None,
        security_group_ids=("sg-1", "sg-2"),
        source_dest_check=True,
        profile_arn="arn:aws:iam::123456789012:instance-profile/db",
        role_name="ha-dev-db",
        launch_time="2026-11-24T12:00:00+00:00",
        launch_index=0,
        metadata=MetadataOptions(enabled=True, tokens_required=True, tags=False),
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Lab:
    """A service with two instances that a test may change."""

    port: int
    hosts: dict[IPv4Address, Instance]
    credentials: Credentials
    clock: Clock

    def ask(
        self, method: str, path: str, source: IPv4Address = ONE, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5, source_address=(str(source), 0))
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=names)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def token(self, source: IPv4Address = ONE, ttl: str = "60") -> str:
        status, body, _ = self.ask("PUT", "/latest/api/token", source, x_aws_ec2_metadata_token_ttl_seconds=ttl)
        assert status == 200
        return body.decode()

    def get(self, path: str, source: IPv4Address = ONE) -> str:
        status, body, _ = self.ask("GET", path, source, x_aws_ec2_metadata_token=self.token(source))
        assert status == 200, path
        return body.decode()


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    lab = Lab(0, {}, Credentials(), Clock())
    user_data = {"i-1": USER_DATA, "i-2": b""}

    def lookup(address: IPv4Address) -> HostMetadata | None:
        snapshot = AwsSnapshot(
            vpcs=(Vpc("vpc-1", IPv4Network("10.20.0.0/16"), default=False),),
            subnets=(Subnet("subnet-1", "vpc-1", IPv4Network("10.20.0.0/24"), "use1-az6"),),
            instances=tuple(lab.hosts.values()),
        )
        return metadata_of(
            snapshot, address, region="us-east-1", account_id="123456789012", user_data=user_data.__getitem__
        )

    service = MetadataService(lookup, lab.credentials, Tokens(lab.clock))
    with service.serve(socket.create_server(("127.0.0.1", 0))) as lab.port:
        yield lab


@pytest.fixture
def lab(served: Lab) -> Lab:
    """The service with two instances, as no test has changed them; it is served once, as its end takes a while."""
    served.hosts.clear()
    served.hosts.update({ONE: instance(1, ONE), TWO: instance(2, TWO)})
    served.clock.now = 0.0
    return served


def test_without_a_token_every_request_is_refused(lab: Lab) -> None:
    for path in ("/latest/meta-data/instance-id", "/latest/user-data", "/", "/latest/nothing"):
        assert lab.ask("GET", path)[0] == 401


def test_a_made_up_token_is_refused(lab: Lab) -> None:
    assert lab.ask("GET", "/latest/meta-data/instance-id", x_aws_ec2_metadata_token="made-up")[0] == 401


def test_a_token_is_bound_to_its_instance(lab: Lab) -> None:
    token = lab.token(ONE)
    asked = "/latest/meta-data/instance-id"
    assert lab.ask("GET", asked, ONE, x_aws_ec2_metadata_token=token)[:2] == (200, b"i-1")
    assert lab.ask("GET", asked, TWO, x_aws_ec2_metadata_token=token)[0] == 401


def test_a_token_expires(lab: Lab) -> None:
    token = lab.token(ttl="60")
    lab.clock.now = 59.9
    assert lab.ask("GET", "/latest/meta-data/", x_aws_ec2_metadata_token=token)[0] == 200
    lab.clock.now = 60.0
    assert lab.ask("GET", "/latest/meta-data/", x_aws_ec2_metadata_token=token)[0] == 401


@pytest.mark.parametrize("ttl", ["0", "21601", "-1", "soon", ""])
def test_a_token_of_an_impossible_length_is_not_given(lab: Lab, ttl: str) -> None:
    assert lab.ask("PUT", "/latest/api/token", x_aws_ec2_metadata_token_ttl_seconds=ttl)[0] == 400


def test_a_token_needs_to_be_asked_for_properly(lab: Lab) -> None:
    assert lab.ask("PUT", "/latest/api/token")[0] == 400
    assert lab.ask("PUT", "/latest/api/other", x_aws_ec2_metadata_token_ttl_seconds="60")[0] == 404
    forwarded = lab.ask(
        "PUT", "/latest/api/token", x_aws_ec2_metadata_token_ttl_seconds="60", X_Forwarded_For="1.2.3.4"
    )
    assert forwarded[0] == 403


def test_the_token_says_how_long_it_lives(lab: Lab) -> None:
    headers = lab.ask("PUT", "/latest/api/token", x_aws_ec2_metadata_token_ttl_seconds="21600")[2]
    assert headers["X-aws-ec2-metadata-token-ttl-seconds"] == "21600"


def test_version_one_works_only_where_the_instance_allows_it(lab: Lab) -> None:
    options = replace(lab.hosts[ONE].metadata, tokens_required=False)
    lab.hosts[ONE] = replace(lab.hosts[ONE], metadata=options)
    assert lab.ask("GET", "/latest/meta-data/instance-id")[:2] == (200, b"i-1")
    assert lab.ask("GET", "/latest/meta-data/instance-id", x_aws_ec2_metadata_token="made-up")[0] == 401


def test_a_disabled_service_says_nothing(lab: Lab) -> None:
    options = replace(lab.hosts[ONE].metadata, enabled=False)
    lab.hosts[ONE] = replace(lab.hosts[ONE], metadata=options)
    assert lab.ask("GET", "/latest/meta-data/")[0] == 403
    assert lab.ask("PUT", "/latest/api/token", x_aws_ec2_metadata_token_ttl_seconds="60")[0] == 403


def test_an_address_of_no_instance_gets_nothing(lab: Lab) -> None:
    assert lab.ask("PUT", "/latest/api/token", NOBODY, x_aws_ec2_metadata_token_ttl_seconds="60")[0] == 404
    assert lab.ask("GET", "/latest/meta-data/", NOBODY)[0] == 404


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("instance-id", "i-1"),
        ("ami-id", "ami-1"),
        ("instance-type", "t3.small"),
        ("local-ipv4", "127.0.0.11"),
        ("mac", "02:00:00:00:00:01"),
        ("placement/availability-zone", "us-east-1a"),
        ("placement/availability-zone-id", "use1-az6"),
        ("placement/region", "us-east-1"),
        ("network/interfaces/macs/", "02:00:00:00:00:01/"),
        ("network/interfaces/macs/02:00:00:00:00:01/subnet-ipv4-cidr-block", "10.20.0.0/24"),
        ("network/interfaces/macs/02:00:00:00:00:01/vpc-ipv4-cidr-block", "10.20.0.0/16"),
        ("network/interfaces/macs/02:00:00:00:00:01/security-group-ids", "sg-1\nsg-2"),
        ("iam/security-credentials/", "ha-dev-db"),
    ],
)
def test_metadata_is_where_ec2_has_it(lab: Lab, path: str, expected: str) -> None:
    assert lab.get(f"/latest/meta-data/{path}") == expected
    assert lab.get(f"/2021-03-23/meta-data/{path}") == expected


def test_folders_list_what_is_in_them(lab: Lab) -> None:
    assert lab.get("/").splitlines()[-1] == "latest"
    assert {"meta-data/", "dynamic/", "user-data"} == set(lab.get("/latest/").splitlines())
    assert "placement/" in lab.get("/latest/meta-data/").splitlines()


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/tags/instance",
        "/latest/meta-data/public-ipv4",
        "/latest/meta-data/instance-id/x",
        "/nonsense/meta-data",
        "/latest/meta",
    ],
)
def test_what_is_not_there_is_404(lab: Lab, path: str) -> None:
    assert lab.ask("GET", path, x_aws_ec2_metadata_token=lab.token())[0] == 404


def test_tags_are_given_when_the_instance_says_so(lab: Lab) -> None:
    options = replace(lab.hosts[ONE].metadata, tags=True)
    lab.hosts[ONE] = replace(lab.hosts[ONE], metadata=options)
    assert lab.get("/latest/meta-data/tags/instance").splitlines() == ["Name", "ha:stack"]
    assert lab.get("/latest/meta-data/tags/instance/ha:stack") == "dev"


def test_an_instance_with_a_public_address_knows_it(lab: Lab) -> None:
    lab.hosts[ONE] = replace(lab.hosts[ONE], public_ip=IPv4Address("203.0.113.10"))
    assert lab.get("/latest/meta-data/public-ipv4") == "203.0.113.10"
    macs = "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01"
    assert lab.get(f"{macs}/public-ipv4s") == "203.0.113.10"


def test_user_data_comes_byte_for_byte(lab: Lab) -> None:
    status, body, _ = lab.ask("GET", "/latest/user-data", x_aws_ec2_metadata_token=lab.token())
    assert (status, body) == (200, USER_DATA)
    assert lab.ask("GET", "/latest/user-data", TWO, x_aws_ec2_metadata_token=lab.token(TWO))[0] == 404


def test_credentials_are_the_instances_own_and_known_to_the_api(lab: Lab) -> None:
    path = "/latest/meta-data/iam/security-credentials/ha-dev-db"
    one, two = (json.loads(lab.get(path, source)) for source in (ONE, TWO))
    assert one["AccessKeyId"] != two["AccessKeyId"]
    assert json.loads(lab.get(path)) == one
    key = lab.credentials.find(one["AccessKeyId"])
    assert key is not None
    assert (key.instance_id, key.role_name, key.token) == ("i-1", "ha-dev-db", one["Token"])
    info = json.loads(lab.get("/latest/meta-data/iam/info"))
    assert info["InstanceProfileArn"].endswith("instance-profile/db")


def test_an_instance_without_a_role_has_no_credentials(lab: Lab) -> None:
    lab.hosts[ONE] = replace(lab.hosts[ONE], role_name=None, profile_arn=None)
    assert lab.ask("GET", "/latest/meta-data/iam/info", x_aws_ec2_metadata_token=lab.token())[0] == 404


def test_the_identity_document_says_who_and_where(lab: Lab) -> None:
    document = json.loads(lab.get("/latest/dynamic/instance-identity/document"))
    assert (document["instanceId"], document["region"], document["accountId"]) == (
        "i-1",
        "us-east-1",
        "123456789012",
    )
    assert document["architecture"] == "arm64"

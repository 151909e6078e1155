"""The API's rules hold for real packets: two hosts, a client outside, and services at AWS's names."""

from __future__ import annotations

import pytest

from lab.waiting import eventually
from tests.lab.conftest import SmallEstate, allow, launch, opens, try_connect

pytestmark = pytest.mark.lab
SERVICE = "https://ssm.us-east-1.amazonaws.com/"
S3 = "https://s3.us-east-1.amazonaws.com/"


def fetches(estate: SmallEstate, host: str, url: str) -> bool:
    """Whether a host gets an answer, over TLS that its own trust store accepts."""
    done = estate.on_host(host, "curl", "--silent", "--output", "/dev/null", "--max-time", "3", url)
    return done.exit_code == 0


def test_a_security_group_lets_in_its_peer_and_nobody_else(small_estate: SmallEstate) -> None:
    with small_estate.serving("app1", 5000), small_estate.serving("app1", 5001), small_estate.serving("lb1", 5000):
        assert opens(small_estate.on_host("lb1", *try_connect("10.77.10.10", 5000)))
        assert not opens(small_estate.on_host("lb1", *try_connect("10.77.10.10", 5001)))
        assert not opens(small_estate.on_host("app1", *try_connect("10.77.0.10", 5000)))


def test_a_rule_that_is_added_and_revoked_takes_effect(small_estate: SmallEstate) -> None:
    with small_estate.serving("lb1", 8081):
        attempt = try_connect("10.77.0.10", 8081)
        assert not opens(small_estate.on_host("app1", *attempt))
        allow(small_estate, "lb", 8081, "10.77.10.0/24")
        eventually("the rule holds", lambda: opens(small_estate.on_host("app1", *attempt)), deadline_s=10)
        small_estate.call(
            "revoke_security_group_ingress",
            GroupId=small_estate.ids["sg-lb"],
            IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 8081, "ToPort": 8081, "IpRanges": [{"CidrIp": "10.77.10.0/24"}]}
            ],
        )
        eventually("it is gone", lambda: not opens(small_estate.on_host("app1", *attempt)), deadline_s=10)


def test_from_outside_only_the_elastic_ip_s_open_port_answers(small_estate: SmallEstate) -> None:
    with small_estate.serving("lb1", 80), small_estate.serving("lb1", 5000), small_estate.serving("app1", 5000):
        assert opens(small_estate.as_client(*try_connect(small_estate.ids["elastic"], 80)))
        assert not opens(small_estate.as_client(*try_connect(small_estate.ids["elastic"], 5000)))
        assert not opens(small_estate.as_client(*try_connect("10.77.0.10", 80)))
        assert not opens(small_estate.as_client(*try_connect("10.77.10.10", 5000)))


def test_the_published_port_of_this_machine_leads_to_the_elastic_ip(small_estate: SmallEstate) -> None:
    from lab import process

    port = small_estate.lab.status()["ports"]["80"]
    with small_estate.serving("lb1", 80):
        done = process.run(try_connect("127.0.0.1", port), check=False)
        assert done.stdout.strip() == "lb1"


def test_private_hosts_call_aws_through_the_nat_gateway_until_its_route_is_gone(small_estate: SmallEstate) -> None:
    route = {"RouteTableId": small_estate.ids["private-routes"], "DestinationCidrBlock": "0.0.0.0/0"}
    assert fetches(small_estate, "app1", SERVICE)
    small_estate.call("delete_route", **route)
    try:
        eventually("no way out", lambda: not fetches(small_estate, "app1", SERVICE), deadline_s=10)
        assert fetches(small_estate, "app1", S3), "S3 has a gateway endpoint of its own"
    finally:
        small_estate.call("create_route", **route, NatGatewayId=small_estate.ids["nat"])
    eventually("the way out is back", lambda: fetches(small_estate, "app1", SERVICE), deadline_s=10)


def test_a_host_of_the_public_subnet_without_a_public_address_reaches_nothing_outside(
    small_estate: SmallEstate,
) -> None:
    launched = launch(small_estate, "lonely", "public", "10.77.0.20", "lb")
    try:
        small_estate.wait_for("lonely", "ready")
        assert fetches(small_estate, "lb1", SERVICE)
        assert not fetches(small_estate, "lonely", SERVICE)
    finally:
        small_estate.call("terminate_instances", InstanceIds=[launched])


def test_a_host_cannot_speak_for_another(small_estate: SmallEstate) -> None:
    with small_estate.serving("app1", 5000):
        spoofed = (
            "ip address add 10.77.0.99/32 dev ens5; "
            "timeout 2 socat -u TCP:10.77.10.10:5000,bind=10.77.0.99,connect-timeout=1 STDOUT; "
            "ip address del 10.77.0.99/32 dev ens5"
        )
        assert small_estate.on_host("lb1", "sh", "-c", spoofed).stdout == ""


def test_a_metadata_request_without_a_token_is_refused(small_estate: SmallEstate) -> None:
    url = "http://169.254.169.254/latest/meta-data/instance-id"
    ask = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", url)
    assert small_estate.on_host("app1", *ask).stdout == "401"


def test_the_machine_s_own_network_is_not_the_hosts_to_reach(small_estate: SmallEstate) -> None:
    """The loopback of the machine, where services of the user listen, cannot be reached from hosts."""
    port = small_estate.lab.status()["ports"]["80"]
    assert not opens(small_estate.on_host("app1", *try_connect("100.127.255.2", port)))

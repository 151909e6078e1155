"""Two load balancers and two caches: what the program declares of a pair, and of one alone."""

from __future__ import annotations

import pytest

from tests.unit.program.recorded import Program, Resource, program_of

INSTANCE = "aws:ec2/instance:Instance"
EIP = "aws:ec2/eip:Eip"
ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"


@pytest.fixture(scope="module")
def prod() -> Program:
    return program_of("prod")


@pytest.fixture(scope="module")
def dev() -> Program:
    return program_of("dev")


def balancers(program: Program) -> list[Resource]:
    return [i for i in program.of(INSTANCE) if i.inputs["tags"]["ha:tier"] == "lb"]


def test_prod_has_no_tier_of_one_but_the_monitor(prod: Program) -> None:
    hosts = sorted(i.name for i in prod.of(INSTANCE))
    assert hosts == ["app1", "app2", "cache1", "cache2", "db1", "db2", "lb1", "lb2", "monitor1"]


def test_the_program_leaves_the_shared_address_to_the_load_balancers(prod: Program) -> None:
    associated = {a.inputs["allocationId"] for a in prod.of(ASSOCIATION)}
    assert "public-address-id" not in associated
    assert associated == {"lb1-address-id", "lb2-address-id"}


def test_each_of_a_pair_has_an_address_of_its_own_on_its_first_private_one(prod: Program) -> None:
    of = {a.inputs["instanceId"]: a.inputs for a in prod.of(ASSOCIATION)}
    for host in balancers(prod):
        assert of[f"{host.name}-id"]["privateIpAddress"] == host.inputs["privateIp"]
        (second,) = host.inputs["secondaryPrivateIps"]
        assert second != host.inputs["privateIp"]


def test_the_shared_address_outlives_the_hosts_that_hold_it(prod: Program) -> None:
    """It cannot be released while it is associated, and that ends with the instance."""
    address = prod.named(EIP, "public-address")
    assert address.protect
    assert address.urn in prod.named(INSTANCE, "lb1").depends_on


def test_own_addresses_are_told_from_the_shared_one_by_their_tags(prod: Program) -> None:
    tags = {e.name: e.inputs["tags"] for e in prod.of(EIP)}
    assert tags["public-address"]["Name"] == "prod-public"
    assert "ha:host" not in tags["public-address"]
    assert [tags[f"{h}-address"]["ha:host"] for h in ("lb1", "lb2")] == ["lb1", "lb2"]


def test_one_alone_holds_the_address_as_before(dev: Program) -> None:
    (association,) = dev.of(ASSOCIATION)
    assert association.inputs["allocationId"] == "public-address-id"
    assert association.inputs["instanceId"] == "lb1-id"
    (host,) = balancers(dev)
    assert "secondaryPrivateIps" not in host.inputs


def test_prod_uses_four_of_the_five_addresses_that_an_account_has(prod: Program) -> None:
    assert len(prod.of(EIP)) == 4

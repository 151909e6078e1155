"""When a host may be taken out of service, and when an update goes on after it was replaced."""

from __future__ import annotations

from typing import Any

import pytest

from ops import in_service
from ops.estate import CommandResult
from ops.in_service import InServiceGate, estate_was_complete
from spec.errors import HaError
from tests.unit.conftest import Bucket
from tests.unit.ops.fake_hosts import FakeEstate


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATE_S", "SETTLES_S"):
        monkeypatch.setattr(in_service, name, 0.0)


class Gates:
    """The gates of an estate in which every host serves."""

    def __init__(self) -> None:
        self.estate = FakeEstate()
        self.said: list[str] = []

    def gate(self) -> InServiceGate:
        estate: Any = self.estate
        return InServiceGate(estate=estate, say=self.said.append)


@pytest.fixture
def gates() -> Gates:
    return Gates()


def test_a_host_that_serves_hands_over(gates: Gates) -> None:
    gates.gate().hand_over("db1")
    assert gates.estate.done == ["db1 hands over"]


@pytest.mark.parametrize(("sick", "why"), [("db2", "no standby in synchronous replication"), ("app1", "app1")])
def test_it_does_not_while_the_estate_is_not_redundant(gates: Gates, sick: str, why: str) -> None:
    gates.estate[sick].healthy = False
    with pytest.raises(HaError, match="db1 is not taken out of service") as failed:
        gates.gate().hand_over("db1")
    assert why in failed.value.what
    assert "HA_GATES=off" in failed.value.fix
    assert "HA_DESTROY=1 pulumi destroy --run-program" in failed.value.fix
    assert gates.estate.done == []


def test_one_that_cannot_hand_over_is_not_deleted(gates: Gates) -> None:
    gates.estate.hand_over = CommandResult(1, "", "the standby lags\x1b[31m\n")
    with pytest.raises(HaError, match="it could not hand over: the standby lags\n  where: db1"):
        gates.gate().hand_over("db1")


@pytest.mark.parametrize("state", ["sick", "silent", "missing"])
def test_a_host_that_does_not_serve_has_nothing_to_hand_over(gates: Gates, state: str) -> None:
    host = gates.estate["db2"]
    host.healthy, host.reachable = state != "sick", state != "silent"
    if state == "missing":
        gates.estate.gone.add("db2")
    gates.gate().hand_over("db2")
    assert gates.estate.done == []


def test_when_no_host_can_be_asked_none_is_deleted(gates: Gates) -> None:
    """As without the right to run commands: the primary serves all the same."""
    for host in gates.estate.hosts.values():
        host.reachable = False
    with pytest.raises(HaError, match="db1 is not taken out of service, because it cannot be asked") as failed:
        gates.gate().hand_over("db1")
    assert "HA_GATES=off" in failed.value.fix


@pytest.mark.parametrize("host", ["cache1", "lb1"])
def test_a_sick_host_that_leads_hands_over_to_one_that_is_healthy(gates: Gates, host: str) -> None:
    gates.estate[host].healthy = False
    gates.gate().hand_over(host)
    assert gates.estate.done == [f"{host} hands over"]


@pytest.mark.parametrize(("leader", "peer"), [("db1", "db2"), ("cache1", "cache2"), ("lb1", "lb2")])
def test_a_host_that_leads_is_not_deleted_while_no_other_is_healthy(gates: Gates, leader: str, peer: str) -> None:
    """A primary without a standby reports that it is not healthy, and serves."""
    gates.estate[leader].healthy = gates.estate[peer].healthy = False
    with pytest.raises(HaError, match=f"{leader} is not taken out of service, because it serves") as failed:
        gates.gate().hand_over(leader)
    assert "HA_GATES=off" in failed.value.fix
    gates.gate().hand_over(peer)
    assert gates.estate.done == []


def test_the_update_waits_until_the_estate_is_healthy_with_the_new_host_in_it(gates: Gates) -> None:
    gates.gate().gate("db1")
    gates.estate["db1"].healthy = False
    with pytest.raises(HaError, match="db1 does not serve within"):
        gates.gate().gate("db1")
    gates.estate.gone.add("db1")
    with pytest.raises(HaError, match="db1: there is no such instance"):
        gates.gate().gate("db1")


def test_an_estate_was_complete_when_its_object_was_made(bucket: Bucket) -> None:
    assert not estate_was_complete(bucket.s3, bucket.name)
    assert not estate_was_complete(bucket.s3, "ha-of-nobody")
    bucket.put("in-service", b"")
    assert estate_was_complete(bucket.s3, bucket.name)

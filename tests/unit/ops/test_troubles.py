"""What counts as wrong in an estate, by subject."""

from __future__ import annotations

from typing import Any

import pytest

from ops.status import status
from ops.troubles import troubles
from tests.unit.ops.fake_hosts import FakeEstate


def _troubles(estate: Any, *expected: str) -> set[str]:
    return set(troubles(status(estate, expected)))


def test_a_healthy_estate_has_none() -> None:
    assert _troubles(FakeEstate()) == set()


@pytest.mark.parametrize(
    ("sick", "found"),
    [
        ("app1", {"app1"}),
        ("db1", {"db1", "database"}),
        ("db2", {"db2", "database"}),
        ("cache2", {"cache2"}),
        ("lb1", {"lb1", "load balancer"}),
        ("lb2", {"lb2"}),
        ("monitor1", {"monitor1"}),
    ],
)
def test_a_silent_host_is_one_and_so_is_what_it_takes_with_it(sick: str, found: set[str]) -> None:
    estate = FakeEstate()
    estate[sick].reachable = False
    assert _troubles(estate) == found


def test_a_missing_host_is_one_when_it_is_expected() -> None:
    estate = FakeEstate()
    estate.gone.add("monitor1")
    assert _troubles(estate) == set()
    assert _troubles(estate, "monitor1") == {"monitor1"}


def test_a_host_out_of_rotation_is_one_though_it_calls_itself_healthy() -> None:
    estate = FakeEstate()
    estate["lb1"].says = {"facts": {"servers": {"app1": "UP", "app2": "MAINT"}}}
    assert _troubles(estate) == {"app2"}
    estate["lb1"].says = {"facts": {"servers": {}}}
    assert _troubles(estate) == {"load balancer"}


def test_an_estate_without_its_public_address_or_its_redis_master_is_in_trouble() -> None:
    estate = FakeEstate()
    estate.leads = {"db1"}
    assert _troubles(estate) == {"load balancer", "cache"}

"""Which changes of its settings a running estate takes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from spec import ports
from spec.changes import FIXED, refused_changes, refused_fixed, refused_links
from spec.settings import Settings

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def settings(**groups: Any) -> Settings:
    network = {"zones": ZONES, **groups.pop("network", {})}
    return Settings.model_validate({"region": "us-east-1", "network": network, **groups}, strict=False)


NOW = settings()


@pytest.mark.parametrize(
    "groups",
    [
        {"application": {"count": 3}},
        {"application": {"instance_type": "m7i.large", "environment": {"LANG": "de"}}},
        {"database": {"volume_gib": 40, "max_connections": 200}},
        {"load_balancer": {"server_timeout_ms": 2000}},
        {"timers": {"application_drain_s": 5}},
        {"network": {"zones": (*ZONES, "us-east-1d")}},
        {"budget_monthly_usd": 300},
    ],
)
def test_what_hosts_can_take_one_after_the_other(groups: dict[str, Any]) -> None:
    assert refused_changes(NOW, settings(**groups)) == []
    assert refused_changes(NOW, NOW) == []


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"network": {"cidr": "10.99.0.0/16"}}, "network.cidr cannot change"),
        ({"artifact_bucket": "another-bucket"}, "artifact_bucket cannot change"),
        ({"database": {"name": "other"}}, "database.name cannot change"),
        ({"database": {"user": "other"}}, "database.user cannot change"),
        ({"application": {"tls": False}}, "application.tls cannot change"),
        ({"cache": {"count": 2}}, "cache.count cannot change"),
        ({"load_balancer": {"count": 2}}, "load_balancer.count cannot change"),
        ({"database": {"volume_gib": 10}}, "database.volume_gib cannot shrink from 20 to 10"),
        ({"application": {"root_volume_gib": 8}}, "application.root_volume_gib cannot shrink from 12 to 8"),
    ],
)
def test_what_it_cannot_take_is_named(groups: dict[str, Any], said: str) -> None:
    before = settings(application={"root_volume_gib": 12})
    given = {**groups, "application": {"root_volume_gib": 12, **groups.get("application", {})}}
    (reason,) = refused_changes(before, settings(**given))
    assert reason.startswith(said)


def test_the_copy_of_the_backups_moves_in_three_steps() -> None:
    west, none = {"copy_region": "us-west-2"}, {"copy_region": None}
    for wanted, said in (
        ({"copy_region": "eu-west-1"}, "from us-west-2 to eu-west-1"),
        (none, "from us-west-2 to none"),
    ):
        steps = [
            settings(backups=west),
            settings(backups=west, protect=False),
            settings(backups=wanted, protect=False),
            settings(backups=wanted),
        ]
        assert all(refused_changes(before, after) == [] for before, after in pairwise(steps))
        for after in (steps[2], steps[3]):
            (reason,) = refused_changes(steps[0], after)
            assert reason.startswith(f"backups.copy_region cannot change {said}, because the copy is protected")
    assert refused_changes(NOW, settings(backups=west)) == []


def test_every_fixed_setting_exists() -> None:
    document = NOW.model_dump()
    for path in FIXED:
        group, _, name = path.partition(".")
        assert group in document
        assert not name or name in document[group]


def test_a_host_with_data_stays_in_its_zone() -> None:
    found = refused_changes(NOW, settings(network={"zones": (ZONES[1], ZONES[0], ZONES[2])}))
    assert "network.zones: db1 cannot move from us-east-1a to us-east-1b: its volume is there" in found
    assert not any("monitor1" in reason for reason in found)  # in the third zone, which stays


@pytest.mark.parametrize("forward", [True, False])
def test_a_mix_of_timers_that_is_unsafe_is_refused_both_ways(forward: bool) -> None:
    """Each set is accepted alone. Half way between them an old primary accepts writes beside the new one."""
    short = settings(timers={"fence_lease_ms": 600, "primary_demote_ms": 760})
    long = settings(timers={"fence_lease_ms": 840, "primary_demote_ms": 1000})
    before, after = (short, long) if forward else (long, short)
    (reason,) = refused_changes(before, after)
    assert "unsafe: an old primary may accept applications" in reason
    assert "Take two steps" in reason


def test_the_two_steps_of_such_a_change_are_taken() -> None:
    short = settings(timers={"fence_lease_ms": 600, "primary_demote_ms": 760})
    between = settings(timers={"fence_lease_ms": 600, "primary_demote_ms": 1000})
    long = settings(timers={"fence_lease_ms": 840, "primary_demote_ms": 1000})
    for before, after in ((short, between), (between, long), (long, between), (between, short)):
        assert refused_changes(before, after) == []


def test_larger_pools_than_the_database_has_connections_for_are_refused() -> None:
    (reason,) = refused_changes(NOW, settings(database={"max_connections": 200, "pool_size_per_host": 60}))
    assert "database.max_connections" in reason


def test_many_changes_at_once_are_checked_too() -> None:
    timers = {name: value + 1 for name, value in NOW.timers.model_dump().items() if name.endswith("_ms")}
    safe = {**timers, "fence_lease_ms": 600, "primary_demote_ms": 760, "application_drain_s": 4}
    other = {"server_timeout_ms": 2000, "write_timeout_ms": 13_000, "queue_timeout_ms": 2100, "connect_timeout_ms": 310}
    before = settings(timers={"fence_lease_ms": 840, "primary_demote_ms": 1000})
    (reason,) = refused_changes(before, settings(timers=safe, load_balancer=other))
    assert "Take two steps" in reason


def test_of_settings_of_another_version_those_that_never_change_are_checked() -> None:
    old = {**NOW.model_dump(mode="json"), "of_another_version": 1}
    assert refused_fixed(old, NOW) == []
    (reason,) = refused_fixed({**old, "database": {"name": "other", "gone": 2}}, NOW)
    assert reason.startswith("database.name cannot change")


def test_a_port_does_not_move_in_one_step() -> None:
    assert refused_links(ports.by_name()) == []
    (reason,) = refused_links({**ports.by_name(), "pgbouncer": 6433, "gone": 1})
    assert reason.startswith("the port pgbouncer cannot move from 6433 to ")

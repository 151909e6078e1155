"""No drill is run on a lab of another checkout."""

from __future__ import annotations

import pytest

from components.bundles import bundles
from drills.checkout import refuse_other_versions
from ops.status import CacheStatus, DatabaseStatus, HostStatus, LoadBalancerStatus, Status
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier
from tests.unit.cloud_init.rendering import estate

WANTED = estate()
DIGESTS = {tier: bundle.digest for tier, bundle in bundles(WANTED.values()).items()}
RELEASE = "e" * 64


def running(**other: dict[str, str]) -> Status:
    """An estate whose hosts run what they should, but for what `other` says by host name."""
    hosts = []
    for name, context in WANTED.items():
        tier = context.host.tier
        runs = {"bundle": DIGESTS[tier], "release": RELEASE if tier is Tier.APP else ""}
        hosts.append(
            HostStatus(
                name=name,
                instance_id=f"i-{name}",
                role=tier.role,
                address=str(context.host.address),
                zone="us-east-1a",
                state="ready",
                healthy=True,
                detail="",
                **{**runs, **other.get(name, {})},
            )
        )
    return Status(
        stack="dev",
        target="lab",
        url=None,
        healthy=True,
        hosts=hosts,
        database=DatabaseStatus(primary="db1", standby="db2", replication="sync", lag_bytes=0),
        cache=CacheStatus(primary="cache1"),
        load_balancer=LoadBalancerStatus(active="lb1", servers={}),
        problems=[],
    )


def test_hosts_of_this_checkout_are_accepted() -> None:
    refuse_other_versions(running(), WANTED, RELEASE)


@pytest.mark.parametrize(
    ("seen", "named"),
    [
        (running(db2={"bundle": "f" * 64}), "db2"),
        (running(app1={"release": "f" * 64}), "app1"),
        (running(lb1={"bundle": ""}, app2={"release": ""}), "app2, lb1"),
    ],
    ids=["another bundle", "another release", "hosts that do not say"],
)
def test_hosts_that_run_something_else_are_named(seen: Status, named: str) -> None:
    with pytest.raises(HaError, match=f"{named}: what runs there is not of this checkout") as refused:
        refuse_other_versions(seen, WANTED, RELEASE)
    assert refused.value.exit_code == EXIT_USAGE


def test_a_host_that_the_checkout_does_not_have_is_named() -> None:
    without = {name: context for name, context in WANTED.items() if name != "app2"}
    with pytest.raises(HaError, match="app2: what runs there"):
        refuse_other_versions(running(), without, RELEASE)

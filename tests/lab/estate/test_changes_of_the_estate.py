"""Changes of a running estate by `ha lab up`: a host more and a host less, and a replacement that is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.process import Finished
from lab.waiting import eventually
from review.changes import stack_change
from review.rendered import rendered
from spec.project import REPOSITORY
from tests.lab.checkout import STACK, copy_checkout, edit
from tests.lab.estate.booted import Booted
from tests.lab.estate.visits import visiting

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

HEALTHY_S = 120.0
UNANSWERED_S = 3.0
"""A request may take 1.5 s and be asked again; the visitor gives up after half a second and asks anew."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, to be edited."""
    return copy_checkout(tmp_path / "copy")


def up(booted: Booted, checkout: Path) -> Finished:
    return booted.ha("lab", "up", "--stack", STACK, project_dir=checkout)


def instances(booted: Booted) -> dict[str, str]:
    """Instance ids by host."""
    described = booted.in_network(lambda: booted.client("ec2").describe_instances())
    return {
        tag["Value"]: one["InstanceId"]
        for reservation in described["Reservations"]
        for one in reservation["Instances"]
        if one["State"]["Name"] == "running"
        for tag in one["Tags"]
        if tag["Key"] == "ha:host"
    }


def foretold(checkout: Path) -> dict[str, set[tuple[str, str]]]:
    """What `ha diff` says of each host: service and verb."""
    old, new = (rendered([STACK], folder).stacks[STACK] for folder in (REPOSITORY, checkout))
    return {
        host.name: {(action.unit, action.verb) for action in host.actions}
        for host in stack_change(STACK, new, old).hosts
        if host.fate in ("nothing", "changes")
    }


def set_up_said(booted: Booted, host: str) -> list[str]:
    return booted.on_host(host, "cat", "/var/log/ha-setup.log").stdout.splitlines()


def done(lines: Sequence[str]) -> set[tuple[str, str]]:
    """What a host did to its services, by its log of the set-up."""
    found = (re.search(r": ([\w@-]+)\.service: (start|restart|reload)ed$", line) for line in lines)
    return {(one[1], one[2]) for one in found if one}


def test_one_more_application_host_and_one_less_replace_none(booted: Booted, checkout: Path, tmp_path: Path) -> None:
    before = instances(booted)
    said = {host: len(set_up_said(booted, host)) for host in before}
    with visiting(booted, tmp_path / "visits", "/api/health") as visits:
        edit(checkout / "Pulumi.dev.yaml", "count: 2", "count: 3")
        more = up(booted, checkout)
        try:
            assert more.exit_code == 0, more.stderr
            with_three = instances(booted)
            assert set(with_three) == {*before, "app3"}
            assert {name: with_three[name] for name in before} == before
            servers = booted.status()["load_balancer"]["servers"]
            assert servers == dict.fromkeys(("app1", "app2", "app3"), "UP")
            assert {host: done(set_up_said(booted, host)[lines:]) for host, lines in said.items()} == foretold(checkout)
        finally:
            edit(checkout / "Pulumi.dev.yaml", "count: 3", "count: 2")
            less = up(booted, checkout)
        assert less.exit_code == 0, less.stderr
        assert instances(booted) == before
        assert visits.longest_gap_s() < UNANSWERED_S
    eventually("the estate is healthy", lambda: booted.status()["healthy"], deadline_s=HEALTHY_S)


def test_a_primary_is_not_replaced_while_the_pair_is_not_redundant(booted: Booted, checkout: Path) -> None:
    before = instances(booted)
    seen = booted.status()["database"]
    primary, standby = seen["primary"], seen["standby"]
    edit(
        checkout / "cloud-init/user-data.yaml.j2",
        "\nhostname: ",
        f'\n{{% if host.name == "{primary}" %}}# another\n{{% endif %}}\nhostname: ',
    )
    booted.on_host(standby, "systemctl", "stop", "pgautofailover")
    try:
        eventually("the standby is missed", lambda: not booted.status()["healthy"], deadline_s=60)
        refused = up(booted, checkout)
    finally:
        booted.on_host(standby, "systemctl", "start", "pgautofailover")
    assert refused.exit_code == 1
    assert f"{primary} is not taken out of service" in refused.stderr
    assert instances(booted) == before
    assert booted.on_host(primary, "mountpoint", "-q", "/srv/data", check=False).exit_code == 0
    volumes = booted.in_network(lambda: booted.client("ec2").describe_volumes())["Volumes"]
    attached = [a["State"] for v in volumes for a in v["Attachments"] if a["InstanceId"] == before[primary]]
    assert attached
    assert set(attached) == {"attached"}
    eventually("the estate is healthy", lambda: booted.status()["healthy"], deadline_s=HEALTHY_S)

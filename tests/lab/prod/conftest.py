"""The estate without a single point of failure: booted once for the tests of this folder, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.estate.booted import Booted, Browser, booted_estate


@pytest.fixture(scope="package")
def prod(request: pytest.FixtureRequest) -> Iterator[Booted]:
    with booted_estate("prod", lambda: bool(request.session.testsfailed)) as estate:
        yield estate


@pytest.fixture
def browser(prod: Booted, tmp_path: Path) -> Browser:
    return Browser(prod, tmp_path / "cookies")


def power_cycled(estate: Booted, host: str) -> None:
    """Starts a host anew whose power failed, as an operator would: by the API."""
    filters = [{"Name": "tag:ha:host", "Values": [host]}, {"Name": "instance-state-name", "Values": ["running"]}]

    def cycle() -> None:
        ec2 = estate.client("ec2")
        found = ec2.describe_instances(Filters=filters)["Reservations"]
        ids = [i["InstanceId"] for r in found for i in r["Instances"]]
        ec2.stop_instances(InstanceIds=ids)
        ec2.start_instances(InstanceIds=ids)

    estate.in_network(cycle)

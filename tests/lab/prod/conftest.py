"""The estate without a single point of failure: booted once for the tests of this folder, in their order."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import eventually
from tests.lab.estate.booted import Booted, Browser, booted_estate

VISITOR = Path(__file__).with_name("visitor.py")


@pytest.fixture(scope="package")
def prod(request: pytest.FixtureRequest) -> Iterator[Booted]:
    with booted_estate("prod", lambda: bool(request.session.testsfailed)) as estate:
        yield estate


@pytest.fixture
def browser(prod: Booted, tmp_path: Path) -> Browser:
    return Browser(prod, tmp_path / "cookies")


class Visits:
    """The good answers that a visitor got, by time."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def times(self) -> list[float]:
        """Seconds of CLOCK_MONOTONIC. The last line may still be under way."""
        text = self._log.read_text(encoding="utf-8")
        return [float(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def since(self, moment: float) -> list[float]:
        return [t for t in self.times() if t > moment]

    def longest_gap_s(self) -> float:
        """The longest time without a good answer, between two of them."""
        times = self.times()
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@contextmanager
def visiting(estate: Booted, log: Path, path: str, cookie: str = "") -> Iterator[Visits]:
    """A visitor who asks for `path` all the time, from his first good answer on."""
    argv = estate.lab.in_network([sys.executable, VISITOR, estate.public_address(), path, cookie], client=True)
    with log.open("wb") as output, subprocess.Popen(list(map(str, argv)), stdout=output) as asking:
        try:
            visits = Visits(log)
            eventually("a first good answer", lambda: bool(visits.times()), deadline_s=10)
            yield visits
        finally:
            asking.terminate()


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

"""Changes under load: a good one, a release that dies at its start, an engine that is killed in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.estate.booted import Booted
from tests.lab.estate.drills.running import assert_safe, drill

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["change-config-db", "change-release-dies", "change-interrupted"])
def test_a_change_fails_no_request_and_every_host_ends_on_one_version(
    booted: Booted, tmp_path: Path, name: str
) -> None:
    found, _ = drill(booted, name, tmp_path)
    assert_safe(found)
    assert found["failed"] == 0, found
    # Anything that is not as expected of the hosts is in `broken`; a busy machine may add to the slowest answer alone.
    assert [why for why in found["broken"] if "a request took" not in why] == [], found
    assert found["change"]["returned"]["error"] == ""

"""A change under load that its first host does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.estate.booted import Booted
from tests.lab.estate.drills.running import assert_safe, drill

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_a_release_that_dies_fails_no_request_and_goes_back(booted: Booted, tmp_path: Path) -> None:
    """One drill of its class; `make drills` runs the others."""
    found, _ = drill(booted, "change-release-dies", tmp_path)
    assert_safe(found)
    assert found["failed"] == 0, found
    # Anything that is not as expected of the hosts is in `broken`; a busy machine may add to the slowest answer alone.
    assert [why for why in found["broken"] if "a request took" not in why] == [], found
    assert found["change"]["returned"]["error"] == ""

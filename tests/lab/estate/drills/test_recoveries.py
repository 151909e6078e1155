"""Deleted rows come back, under load, from a host of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.estate.booted import Booted
from tests.lab.estate.drills.running import assert_safe, drill

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_deleted_rows_are_in_the_restored_database_and_no_later_ones(booted: Booted, tmp_path: Path) -> None:
    """One drill of its class; `make drills` runs the others."""
    found, _ = drill(booted, "restore-to-time", tmp_path)
    assert_safe(found)
    assert found["failed"] == 0, found
    restored = found["recovery"]["restore"]
    assert restored["acknowledged_before"] > 0
    assert (restored["missing"], restored["after_and_there"]) == (0, 0), found
    # The host that it launched is gone, with its volumes.
    ended = booted.ha("--lab", "db", "restore", "--end", "--stack", booted.stack)
    assert "there is no restore" in ended.stdout, json.dumps(found)

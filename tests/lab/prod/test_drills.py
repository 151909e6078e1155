"""One drill of each class that needs two of a tier, each with its deadline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.estate.booted import Booted, Browser
from tests.lab.estate.drills.running import NOISE_S, assert_safe, assert_sessions_held, drill

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("name", "limit_s"), [("lb-power-loss", 3.0), ("cache-power-loss", 5.0), ("zone-power-loss", 10.0)]
)
def test_it_serves_again_within_what_is_promised(
    prod: Booted, browser: Browser, tmp_path: Path, name: str, limit_s: float
) -> None:
    browser.sign_in()
    found, _ = drill(prod, name, tmp_path)
    assert_safe(found)
    assert_sessions_held(found, browser)
    assert found["outage_s"] < limit_s + NOISE_S, found

"""`ha prices` as a user meets it: outputs, exit codes, messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cost import price_check
from tests.unit.cli.conftest import Ha


def test_prices_check_ends_with_1_when_rows_are_old(ha: Ha, prices_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in prices_dir.glob("*.json"):
        rows = [{**row, "as_of": "2999-01-01"} for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))
    assert ha("prices", "check", "--prices", str(prices_dir)).code == 0
    monkeypatch.setattr(price_check, "OLD_DAYS", -(10**6))
    ran = ha("prices", "check", "--prices", str(prices_dir))
    assert ran.code == 1
    assert "older than" in ran.out


def test_prices_refresh_wants_a_region_that_has_the_api(ha: Ha) -> None:
    ran = ha("prices", "refresh", "--api-region", "eu-west-1")
    assert ran.code == 2
    assert "does not have the Price List API" in ran.err

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cost import prices, stacks, usage
from cost.report import Report
from tests.stacks import STACKS
from tests.unit.cost.kept_runs import declared_by
from tests.unit.cost.small_repository import make_repository

Make = Callable[..., Report]


@pytest.fixture
def kept_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates take the program's runs from those that are kept."""
    monkeypatch.setattr(stacks, "declared_by", declared_by)


@pytest.fixture
def report_of(kept_runs: None) -> Make:
    """Reports of the tests' stacks: `report_of("dev", "application.count=3")`."""

    def make(name: str, *changes: str) -> Report:
        return stacks.report_of(name, changes, stacks_dir=STACKS)

    return make


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    make_repository(folder)
    return folder


@pytest.fixture(scope="session")
def book() -> prices.PriceBook:
    return prices.load("us-east-1")


@pytest.fixture(scope="session")
def assumed() -> usage.Usage:
    return usage.load()

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from cost import prices, stack, usage
from cost.declared import Declared
from cost.report import Report

Make = Callable[..., Report]


@cache
def declared(name: str, *changes: str) -> tuple[list[Declared], str]:
    """What the program declares for a stack with settings changed, and the region."""
    config = stack.config_of(name, changes)
    settings = stack.settings_of(name, config)
    return stack.declared_by(name, config, settings), settings.region


@pytest.fixture(scope="session")
def report_of() -> Make:
    """Reports of the project's stacks: `report_of("dev", "application.count=3")`."""

    def make(name: str, *changes: str) -> Report:
        resources, region = declared(name, *changes)
        budget = stack.settings_of(name, stack.config_of(name, changes)).budget_monthly_usd
        return stack.report_of(name, resources, region=region, budget_usd=budget)

    return make


@pytest.fixture(scope="session")
def book() -> prices.PriceBook:
    return prices.load("us-east-1")


@pytest.fixture(scope="session")
def assumed() -> usage.Usage:
    return usage.load()

"""One estate for all tests of this folder: booted once, taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.checkout import STACK
from tests.lab.estate.booted import Booted, Browser, booted_estate


@pytest.fixture(scope="package")  # gone before the tests beside this folder boot estates of their own
def booted(request: pytest.FixtureRequest) -> Iterator[Booted]:
    """The `dev` stack in a lab of its own."""
    with booted_estate(STACK, lambda: bool(request.session.testsfailed)) as estate:
        yield estate


@pytest.fixture
def browser(booted: Booted, tmp_path: Path) -> Browser:
    return Browser(booted, tmp_path / "cookies")

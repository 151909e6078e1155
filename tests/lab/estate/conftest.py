"""One estate for all tests of this folder: booted once, taken down at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.checkout import PROJECT_DIR
from tests.lab.conftest import free_ports
from tests.lab.estate.booted import Booted, Browser

KEPT_LOGS = PROJECT_DIR / ".logs"


@pytest.fixture(scope="package")  # gone before the tests beside this folder boot estates of their own
def booted(request: pytest.FixtureRequest) -> Iterator[Booted]:
    """The `dev` stack in a lab of its own. The logs of all hosts are kept in `.logs/` when a test failed."""
    state = Path(os.environ.get("HA_TEST_LAB_STATE", "/var/lib/event-manager-ha/lab-tests"))
    estate = Booted(state, free_ports())
    up = estate.up()
    try:
        assert up.exit_code == 0, f"{up.stdout}\n{up.stderr}"
        yield estate
    finally:
        if request.session.testsfailed or up.exit_code != 0:
            _keep_logs(estate)
        down = estate.ha("lab", "down")
        assert down.exit_code == 0, down.stderr


@pytest.fixture
def browser(booted: Booted, tmp_path: Path) -> Browser:
    return Browser(booted, tmp_path / "cookies")


def _keep_logs(estate: Booted) -> None:
    if estate.lab.paths.hosts_logs.is_dir():
        shutil.copytree(estate.lab.paths.hosts_logs, KEPT_LOGS / "estate", dirs_exist_ok=True)

"""What tests of several packages need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cost import prices


@pytest.fixture
def prices_dir(tmp_path: Path) -> Path:
    """The price files, to be spoilt."""
    folder = tmp_path / "prices"
    shutil.copytree(prices.PRICES_DIR, folder)
    return folder

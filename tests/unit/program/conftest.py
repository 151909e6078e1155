from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components import user_data
from spec.project import REPOSITORY
from tests.unit.program.recorded import Program, program_of


@pytest.fixture(scope="session")
def release_file() -> Iterator[Path]:
    """A release where the settings name it; the real one is left alone when it has been built."""
    path = REPOSITORY / "app" / "build" / "event-manager-1.0.0.tar.gz"
    if path.exists():
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a release for tests")
    yield path
    path.unlink()


@pytest.fixture(scope="session", params=["dev", "prod"])
def program(request: pytest.FixtureRequest, release_file: Path) -> Program:
    assert user_data.CLOUD_INIT_DIR.is_dir()
    return program_of(request.param)

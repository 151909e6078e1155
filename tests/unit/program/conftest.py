from __future__ import annotations

import pytest

from components import user_data
from tests.unit.program.recorded import Program, program_of


@pytest.fixture(scope="session", params=["dev", "prod"])
def program(request: pytest.FixtureRequest) -> Program:
    assert user_data.CLOUD_INIT_DIR.is_dir()
    return program_of(request.param)

from __future__ import annotations

import pytest

from tests.unit.program.recorded import Program, program_of


@pytest.fixture(scope="session", params=["dev", "prod"])
def program(request: pytest.FixtureRequest) -> Program:
    return program_of(request.param)

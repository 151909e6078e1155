"""The engine without a lab; `tests/engine` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.engine import Engine
from spec.errors import HaError


def test_an_engine_whose_lab_has_ended_does_not_bring_its_state_back(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
    state = tmp_path / "state"
    with pytest.raises(HaError, match="the lab has ended"):
        Engine(project_dir=tmp_path, state_dir=state, endpoint_url="http://127.0.0.1:4566").preview("dev")
    assert not state.exists()


def test_the_program_gets_what_lets_a_change_pass_and_nothing_else_of_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_WITHOUT", "db2")
    monkeypatch.setenv("AWS_PROFILE", "production")
    engine = Engine(project_dir=tmp_path, state_dir=tmp_path, endpoint_url="http://127.0.0.1:1")
    given = engine._child_environment("us-east-1")
    assert given["HA_WITHOUT"] == "db2"
    assert "AWS_PROFILE" not in given
    assert "HA_GATES" not in given

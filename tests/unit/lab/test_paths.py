"""Where the lab may keep its state."""

from __future__ import annotations

import pytest

from lab.paths import state_directory
from spec.errors import HaError


@pytest.mark.parametrize("path", ["relative/lab", ".", "/"])
def test_a_state_path_that_names_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("HA_LAB_STATE", path)
    with pytest.raises(HaError, match="the lab's state cannot be at") as refused:
        state_directory()
    assert refused.value.exit_code == 2

"""What is checked before an image is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.image.build import check_room
from spec.errors import HaError


def test_a_full_disk_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(HaError, match=r"1e\+06 GiB, ") as refused:
        check_room(tmp_path / "not/there/yet", 1_000_000, "the host image")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "not").exists()

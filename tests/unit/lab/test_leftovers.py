"""What is removed after a crashed lab, and what never is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import leftovers
from lab.hosts.cgroups import CgroupTree
from lab.lab import Lab
from spec.errors import HaError


def test_a_folder_that_no_lab_made_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("years of work", encoding="utf-8")
    with pytest.raises(HaError, match="no lab made") as refused:
        Lab(precious).stop()
    assert refused.value.exit_code == 2
    with pytest.raises(HaError, match="no lab made"):
        leftovers.clean(precious)
    assert (precious / "thesis").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_process_that_ends_by_itself_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    answers = iter([[ended.pid], []])
    monkeypatch.setattr(CgroupTree, "processes", lambda *_: next(answers))
    leftovers.end_processes(tmp_path)

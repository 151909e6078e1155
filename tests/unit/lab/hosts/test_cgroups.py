"""The processors that a group may have, on either kind of hierarchy, and how it is stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab import process
from lab.hosts.cgroups import CgroupTree


@pytest.mark.parametrize(
    ("files", "limited", "free"),
    [
        ({"cpu.max": ""}, {"cpu.max": "4000 10000"}, {"cpu.max": "max 10000"}),
        (
            {"cpu.cfs_period_us": "", "cpu.cfs_quota_us": ""},
            {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "4000"},
            {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "-1"},
        ),
        ({}, {}, {}),
    ],
)
def test_a_group_is_limited_and_set_free(
    tmp_path: Path, files: dict[str, str], limited: dict[str, str], free: dict[str, str]
) -> None:
    tree = CgroupTree(tmp_path)
    tree.roots = [tmp_path]
    group = tmp_path / "i-1"
    group.mkdir()
    for name, text in files.items():
        (group / name).write_text(text, encoding="ascii")

    def found() -> dict[str, str]:
        return {path.name: path.read_text(encoding="ascii") for path in group.iterdir()}

    tree.limit_cpu("i-1", 0.4)
    assert found() == limited
    tree.limit_cpu("i-1", None)
    assert found() == free


def test_a_group_is_stopped_for_as_long_as_the_block_also_when_it_goes_meanwhile(tmp_path: Path) -> None:
    tree = CgroupTree(tmp_path)
    tree.roots = [tmp_path / "unified", tmp_path / "memory"]
    for root in tree.roots:
        (root / "i-1").mkdir(parents=True)
    file = tmp_path / "unified/i-1/cgroup.freeze"
    file.write_text("0", encoding="ascii")
    with tree.frozen("i-1"):
        assert file.read_text(encoding="ascii") == "1"
    assert file.read_text(encoding="ascii") == "0"
    with tree.frozen("i-1"):
        shutil.rmtree(tmp_path / "unified/i-1")
    assert not (tmp_path / "memory/i-1/cgroup.freeze").exists()


def test_nothing_runs_outside_of_a_group_that_is_gone(tmp_path: Path) -> None:
    tree = CgroupTree(tmp_path)
    group = tmp_path / "engine"
    argv = tree.argv([group], ["echo", "inside"])
    assert process.run(argv, check=False).stdout == ""
    group.mkdir()
    assert process.run(argv).stdout == "inside\n"
    assert (group / "cgroup.procs").read_text(encoding="ascii").strip().isdecimal()

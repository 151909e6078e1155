"""Results on disk, in both forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drills.folders import PUBLISHED_DIR
from drills.results import Outcome, Result, bin_width_s, keep, kept_results, publish
from spec.errors import HaError
from tests.unit.drills.test_report import outcome, unfinished
from tools.generate_docs.drills import PICTURED_RUN

FIRST, SECOND = outcome(4.0), outcome(5.0, at=datetime(2026, 1, 3, tzinfo=UTC))
THIRD = unfinished("no primary")
ALL: list[Result] = [FIRST, SECOND, THIRD]


def test_results_accumulate_and_come_back_as_they_were(tmp_path: Path) -> None:
    for one in reversed(ALL):
        keep(one, tmp_path)
    assert kept_results(tmp_path) == ALL
    assert kept_results(tmp_path, "prod") == []


def test_published_results_come_back_without_timelines_from_the_file_and_from_its_folder(tmp_path: Path) -> None:
    path = publish(reversed(ALL), tmp_path / "2026-01-02-dev-machine1.jsonl")
    without = [one.model_copy(update={"timeline": None}) if one in (FIRST, SECOND) else one for one in ALL]
    assert kept_results(path) == kept_results(tmp_path) == kept_results(tmp_path, "dev") == without
    assert kept_results(tmp_path, "prod") == []
    assert "timeline" not in path.read_text(encoding="utf-8")


def test_both_forms_in_one_folder_are_read_together(tmp_path: Path) -> None:
    publish([FIRST], tmp_path / "published.jsonl")
    keep(SECOND, tmp_path)
    assert [one.at for one in kept_results(tmp_path)] == [FIRST.at, SECOND.at]


def test_a_file_and_a_line_that_are_not_results_are_named(tmp_path: Path) -> None:
    path = keep(FIRST, tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(HaError, match="not a result of a drill") as refused:
        kept_results(tmp_path)
    assert refused.value.where == str(path)
    lines = publish([FIRST, SECOND], tmp_path / "published.jsonl")
    lines.write_text(lines.read_text(encoding="utf-8")[:-50], encoding="utf-8")
    with pytest.raises(HaError, match="not a result of a drill") as refused:
        kept_results(lines)
    assert refused.value.where == f"{lines}, line 2"


def test_published_files_say_date_stack_and_machine_and_hold_no_run_twice() -> None:
    machines: dict[str, set[object]] = {}
    seen = []
    for path in PUBLISHED_DIR.glob("*.jsonl"):
        found = kept_results(path)
        assert found, path
        seen += [(one.stack, one.fault, one.at) for one in found]
        if path.name == "since-fixed.jsonl":
            assert all(one.since_fixed for one in found)
            continue
        named = re.fullmatch(r"(\d{4}-\d\d-\d\d)-(\w+)-(machine\d+)\.jsonl", path.name)
        assert named, path
        assert {one.stack for one in found} == {named[2]}
        assert f"{min(one.at for one in found):%Y-%m-%d}" == named[1]
        machines.setdefault(named[3], set()).update(one.machine for one in found)
    assert all(len(ones) == 1 for ones in machines.values())
    assert len(seen) == len(set(seen))


def test_slices_of_a_timeline_are_short_and_not_too_many() -> None:
    assert bin_width_s(30.0) == bin_width_s(180.0) == 0.25
    assert bin_width_s(1800.0) == 2.5


def test_the_pictured_run_is_a_published_one() -> None:
    pictured = Outcome.model_validate_json(PICTURED_RUN.read_text(encoding="utf-8"))
    assert pictured.timeline is not None
    assert pictured.model_copy(update={"timeline": None}) in kept_results(PUBLISHED_DIR)

"""A run of the program under Pulumi's mocks: what it needs, what it says, what an estimate takes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from components import user_data
from components.host_files import Context
from cost import stacks
from cost.program import with_release
from spec.errors import HaError
from spec.release import find_release
from spec.stack_file import load_settings
from tests.stacks import STACKS
from tests.unit.cost.kept_runs import declared_by


def test_the_stand_in_for_a_release_is_one_and_the_same_each_time(tmp_path: Path) -> None:
    settings = load_settings(STACKS, "dev")
    (tmp_path / "__main__.py").touch()
    digests = set()
    for _ in range(2):
        with with_release(tmp_path, settings.application.release) as view:
            assert view != tmp_path
            digests.add(find_release(settings, view, source="Pulumi.dev.yaml").digest)
    assert len(digests) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["__main__.py"]


def test_an_estimate_is_the_same_after_somebody_closed_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.close()
    after = stacks.report_of("dev", stacks_dir=STACKS)
    monkeypatch.setattr(stacks, "declared_by", declared_by)
    assert stacks.report_of("dev", stacks_dir=STACKS) == after


def test_what_the_program_refuses_is_exit_2_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(context: Context) -> str:
        raise HaError(f"user data of {context.host.name} is too large")

    monkeypatch.setattr(user_data, "user_data", refuse)
    with pytest.raises(HaError, match=r"the program refuses the stack: user data of .* is too large") as refused:
        stacks.report_of("dev", stacks_dir=STACKS)
    assert refused.value.exit_code == 2

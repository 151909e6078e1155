"""docs/samples is what the comment looks like today."""

from __future__ import annotations

import pytest

from cost import stacks
from spec.project import REPOSITORY
from tests.unit.cost.kept_runs import declared_by
from tools.generate_docs.comments import SAMPLES


@pytest.fixture(autouse=True)
def _kept_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "declared_by", declared_by)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_current(name: str) -> None:
    assert (REPOSITORY / name).read_text(encoding="utf-8") == SAMPLES[name](), "run `make docs`"


def test_every_sample_is_linked() -> None:
    page = (REPOSITORY / "docs" / "pull-requests.md").read_text(encoding="utf-8")
    for name in SAMPLES:
        assert f"({name.removeprefix('docs/')})" in page

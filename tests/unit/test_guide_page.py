"""docs/guide.md says what the code says: the guide's figures, and what is promised in their place."""

from __future__ import annotations

import pytest

from cost.guide import GUIDE_TOTAL_USD
from drills import promises
from drills.promises import Promise
from spec.project import REPOSITORY

PAGE = (REPOSITORY / "docs" / "guide.md").read_text(encoding="utf-8")
PROMISES = {name: value for name, value in vars(promises).items() if isinstance(value, Promise)}
ANSWERS = {name: promise for name, promise in PROMISES.items() if promise.guide.startswith("<")}


def row_with(text: str) -> str:
    """The one row of the table of failover times that holds a text."""
    table = PAGE.partition("## Failover times")[2].partition("\n## ")[0]
    (row,) = [line for line in table.splitlines() if text in line]
    return row


@pytest.mark.parametrize("name", ANSWERS)
def test_each_figure_of_the_guide_stands_beside_the_promise(name: str) -> None:
    promise = ANSWERS[name]
    assert promise.text in row_with(promise.guide.partition(",")[0])


def test_the_guides_total_is_the_budget_that_is_compared_with() -> None:
    assert f"about ${GUIDE_TOTAL_USD}" in PAGE

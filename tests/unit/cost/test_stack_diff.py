"""What a change of this checkout costs against another revision."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cost import stack_diff
from tests.stacks import STACKS

pytestmark = pytest.mark.usefixtures("kept_runs")


def test_the_difference_to_a_revision_is_the_difference_of_the_totals(repository: Path) -> None:
    diff, reports = stack_diff.diff_of(["dev"], "main", (), stacks_dir=STACKS, repository=repository)
    (found,) = diff.stacks
    assert found.before_usd == Decimal("65.70")  # 2 x 730 x 0.045
    assert found.after_usd == reports[0].monthly_usd == Decimal("178.5009")
    assert found.difference_usd == Decimal("112.8009")
    assert {line.change for line in found.lines if line.resource in ("nat0", "nat1")} == {"removed"}
    # What could not be priced before is reported, and is no failure of the change.
    assert [u.type for u in found.before_unpriced] == ["aws:rds/instance:Instance"]
    assert found.unpriced == []


def test_a_stack_that_is_not_in_the_revision_is_new(repository: Path) -> None:
    diff, _ = stack_diff.diff_of(["prod"], "main", (), stacks_dir=STACKS, repository=repository)
    assert diff.stacks[0].before_usd is None

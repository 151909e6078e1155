"""What a change of this checkout costs against another revision, and that a change cannot vouch for itself."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from cost import diff_text, stack_diff, stacks
from cost.diff import Diff, PriceChange, needs_approval
from cost.prices import PRICES_DIR
from cost.revision import edited_since
from spec.errors import EXIT_PROMISE_BROKEN, HaError
from spec.project import REPOSITORY
from tests.stacks import STACKS
from tests.unit.cost.small_repository import git

pytestmark = pytest.mark.usefixtures("kept_runs")


def diff(repository: Path, *changes: str, prices_dir: Path = PRICES_DIR) -> Diff:
    return stack_diff.diff_of(
        ["dev"], "main", changes, stacks_dir=STACKS, prices_dir=prices_dir, repository=repository
    )[0]


@pytest.fixture
def base(repository: Path) -> Path:
    """A repository whose base has this checkout's estimator and the tests' stack file."""
    for name in ("cost", "spec"):
        shutil.copytree(REPOSITORY / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(STACKS / "Pulumi.dev.yaml", repository)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message=an estimator")
    return repository


def with_price(base: Path, key: str, usd: str) -> Path:
    """The price files of the base's working folder, one row of which has another price."""
    path = base / "cost" / "prices" / "us-east-1.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**row, "usd": usd} if row["key"] == key else row for row in rows]))
    return path.parent


def test_the_difference_to_a_revision_is_the_difference_of_the_totals(repository: Path) -> None:
    found, reports = stack_diff.diff_of(["dev"], "main", (), stacks_dir=STACKS, repository=repository)
    (one,) = found.stacks
    assert one.before_usd == Decimal("65.70")  # 2 x 730 x 0.045
    assert one.after_usd == reports[0].monthly_usd == Decimal("180.61164")
    assert one.difference_usd == Decimal("114.91164")
    assert {line.change for line in one.lines if line.resource in ("nat0", "nat1")} == {"removed"}
    # What could not be priced before is reported, and is no failure of the change.
    assert [u.type for u in one.before_unpriced] == ["aws:rds/instance:Instance"]
    assert one.unpriced == []
    assert one.at_base is None
    assert one.at_base_failed == "it has none"


def test_a_stack_that_is_not_in_the_revision_is_new(repository: Path) -> None:
    found, _ = stack_diff.diff_of(["prod"], "main", (), stacks_dir=STACKS, repository=repository)
    assert found.stacks[0].before_usd is None
    assert found.stacks[0].before_failed == ""


def test_a_budget_that_the_base_has_none_for_needs_a_person(base: Path) -> None:
    found, _ = stack_diff.diff_of(["prod"], "main", (), stacks_dir=STACKS, repository=base)
    budget = "so its budget of $215.00 is the change's own"
    assert needs_approval(found) == [f"prod is new, {budget}"]
    shutil.rmtree(base / "cost")
    git(base, "commit", "--quiet", "--all", "--message=no estimator")
    (reason,) = needs_approval(diff(base))
    assert reason.startswith("dev has no budget that can be read in the base, so its budget of $215.00")
    alone, _ = stack_diff.diff_of(["dev"], None, ["budget_monthly_usd=5000"], stacks_dir=STACKS)
    assert needs_approval(alone) == []  # no base, no change to judge


def test_a_stack_that_only_the_base_has_is_named(base: Path) -> None:
    shutil.copy(base / "Pulumi.dev.yaml", base / "Pulumi.old.yaml")
    git(base, "add", ".")
    git(base, "commit", "--quiet", "--message=another stack")
    found = diff(base)
    assert found.gone == ["old"]
    assert "old: its stack file is gone; its estate is not" in diff_text.diff(found)


def test_what_judges_and_shows_the_estimate_counts_as_a_part_of_it(repository: Path) -> None:
    """Each file or folder of the list, and nothing else."""
    paths = [one if (REPOSITORY / one).is_file() else f"{one}/any" for one in stack_diff.ESTIMATOR]
    for path in [*paths, "app/any"]:
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("before\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message=there before")
    for path in [*paths, "app/any"]:
        (repository / path).write_text("after\n")
    assert edited_since(repository, "main", stack_diff.ESTIMATOR) == sorted(paths)
    assert {"cost/any", "review/any", ".github/workflows/any", "tools/publish-comment"} < set(paths)


def test_files_of_the_estimate_exist() -> None:
    """One that is renamed would not count any more."""
    assert all((REPOSITORY / one).exists() for one in stack_diff.ESTIMATOR)


def test_a_base_that_cannot_run_leaves_the_head_alone(base: Path) -> None:
    (base / "components" / "shape.py").write_text("import dropped\n")
    git(base, "commit", "--quiet", "--all", "--message=broken")
    (one,) = diff(base).stacks
    assert one.before_usd is None
    assert "No module named 'dropped'" in one.before_failed
    assert one.after_usd == Decimal("180.61164")
    assert one.at_base is not None  # its estimator runs all the same
    assert one.at_base.after_usd == one.after_usd
    assert one.at_base.before_usd is None


def test_without_an_edit_both_estimators_agree(base: Path) -> None:
    found = diff(base)
    (one,) = found.stacks
    assert one.at_base is not None
    assert (one.at_base.before_usd, one.at_base.after_usd) == (one.before_usd, one.after_usd)
    assert one.budget_before_usd == one.budget_usd == Decimal(215)
    assert (found.edited, found.prices, needs_approval(found)) == ([], [], [])


def test_a_price_edited_with_what_it_hides_is_seen(base: Path) -> None:
    """A type of $0.8064 an hour whose row has the price of t3.medium."""
    prices_dir = with_price(base, "ec2.m7i.4xlarge.hour", "0.0416")
    found = diff(base, "application.instance_type=m7i.4xlarge", prices_dir=prices_dir)
    (one,) = found.stacks
    assert one.after_usd == Decimal("180.41164")  # two alarms on CPU credits less
    assert one.within_budget
    assert one.at_base is not None
    assert one.at_base.after_usd == one.after_usd + 2 * 730 * (Decimal("0.8064") - Decimal("0.0416"))
    row = {"before_usd": Decimal("0.8064"), "after_usd": Decimal("0.0416")}
    assert found.prices == [PriceChange(region="us-east-1", key="ec2.m7i.4xlarge.hour", **row)]
    assert found.edited == ["cost/prices/us-east-1.json"]
    assert [reason.split(":")[0] for reason in needs_approval(found)] == [
        "it changes how costs are estimated or shown",
        "dev costs $1,297.02 at the base's prices, over its budget of $215.00",
    ]
    with pytest.raises(HaError) as refused:
        stacks.enforce_approval(found)
    assert refused.value.exit_code == EXIT_PROMISE_BROKEN
    assert "cost-approved" in refused.value.fix


def test_a_raised_budget_needs_a_person_and_a_lowered_one_does_not(base: Path) -> None:
    raised = diff(base, "budget_monthly_usd=5000")
    assert needs_approval(raised) == ["it raises the budget of dev from $215.00 to $5,000.00"]
    assert needs_approval(diff(base, "budget_monthly_usd=200")) == []


def test_an_estimator_edited_is_not_the_one_that_counts(base: Path) -> None:
    """Here the base's own is the odd one: it counts each hour twice."""
    path = base / "cost" / "prices.py"
    path.write_text(path.read_text().replace("Decimal(730)", "Decimal(1460)"))
    git(base, "commit", "--quiet", "--all", "--message=twice")
    (one,) = diff(base).stacks
    assert one.at_base is not None
    assert one.at_base.after_usd > one.after_usd + 100
    path.write_text(path.read_text().replace("Decimal(1460)", "Decimal(730)"))
    assert diff(base).edited == ["cost/prices.py"]


def test_what_the_base_cannot_price_counts_at_the_price_of_the_change(base: Path) -> None:
    rows = json.loads((base / "cost" / "prices" / "us-east-1.json").read_text())
    (base / "cost" / "prices" / "us-east-1.json").write_text(
        json.dumps([row for row in rows if row["key"] != "ec2.t3.medium.hour"])
    )
    git(base, "commit", "--quiet", "--all", "--message=fewer")
    found = diff(base)
    (one,) = found.stacks
    assert one.at_base is not None
    assert one.at_base.not_priced == ["hosts/app1/app1", "hosts/app2/app2"]
    assert one.at_base.after_usd == one.after_usd
    assert [(p.key, p.before_usd) for p in found.prices] == [("ec2.t3.medium.hour", None)]

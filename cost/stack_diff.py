"""What a change of this repository costs: each stack of this checkout against another revision or other settings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from cost import base_estimate, prices, stacks, usage
from cost.diff import AtBase, Diff, PriceChange, StackDiff, compare
from cost.report import Report
from cost.resources import Resource
from cost.revision import ProgramRun, Revision, checked_out, edited_since
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import REGION_KEY, check_stack_name, found_stacks

# What an estimate is made, judged and shown with: a change of one may hide what another change costs. Files, and
# folders with all that is in them; tools/publish-comment has the same ones.
ESTIMATOR = (
    ".github/workflows",
    "cli/cost.py",
    "cli/diff.py",
    "cost",
    "review",
    "spec/instance_types.json",
    "spec/instance_types.py",
    "spec/stack_file.py",
    "tools/publish-comment",
)


def diff_of(
    names: Sequence[str],
    base: str | None,
    changes: Sequence[str],
    *,
    stacks_dir: Path = REPOSITORY,
    prices_dir: Path = prices.PRICES_DIR,
    repository: Path = REPOSITORY,
) -> tuple[Diff, list[Report]]:
    """Each stack of this checkout, with `changes` made to its settings, against `base`; without a base, against this
    checkout as it is. Also the reports of the changed side, whose budgets count.

    A base whose program cannot run leaves the changed side alone, with the reason.

    :raises HaError: (exit 2) for a revision that git does not know, or settings that do not validate.
    """
    for name in names:
        check_stack_name(name)
    diffs: list[StackDiff] = []
    reports: list[Report] = []
    with ExitStack() as cleanup:
        revision = cleanup.enter_context(checked_out(repository, base)) if base is not None else None
        runs: dict[str, ProgramRun] = {}
        for name in names:
            if revision and revision.has_stack(name):
                runs[name] = ProgramRun(revision, name)
                cleanup.callback(runs[name].stop)
        for name in names:
            after, declared = stacks.priced_with_resources(name, changes, stacks_dir=stacks_dir, prices_dir=prices_dir)
            reports.append(after)
            if revision is None:
                diffs.append(compare(stacks.report_of(name, stacks_dir=stacks_dir, prices_dir=prices_dir), after))
            else:
                diffs.append(_against(revision, runs.get(name), after, declared, prices_dir))
        found = Diff(
            base=f"{revision.name} ({revision.commit[:12]})" if revision else this_checkout(),
            head=this_checkout(changes),
            stacks=diffs,
            edited=edited_since(repository, revision.commit, ESTIMATOR) if revision else [],
            prices=changed_prices(revision.folder / "cost" / "prices", prices_dir) if revision else [],
            gone=sorted(set(found_stacks(revision.folder)) - set(found_stacks(stacks_dir))) if revision else [],
        )
    return found, reports


def this_checkout(changes: Sequence[str] = ()) -> str:
    """What a diff calls this checkout, with changes made to its settings."""
    return f"this checkout with {', '.join(changes)}" if changes else "this checkout"


def _against(
    revision: Revision, run: ProgramRun | None, after: Report, declared: Sequence[Resource], prices_dir: Path
) -> StackDiff:
    """The difference to a revision, and both sides by that revision's own estimator."""
    before: Report | None = None
    side: base_estimate.Side | None = None
    failed = ""
    if run is not None:
        try:
            resources = run.declared()
            before = _report_of_revision(revision, resources, after.stack, prices_dir)
            side = (before.region, resources)
        except HaError as error:
            failed = error.what
    found = compare(before, after).model_copy(update={"before_failed": failed})
    try:
        answer = base_estimate.ask(revision.folder, after.stack, side, (after.region, declared))
    except base_estimate.Failed as why:
        return found.model_copy(update={"at_base_failed": str(why)})
    # What the base does not know is in the sum at the price of the change.
    unknown = answer.after.unpriced
    new = sum((li.monthly_usd for li in after.lines if (li.component, li.resource) in unknown), Decimal(0))
    at_base = AtBase(
        before_usd=answer.before.usd if answer.before else None,
        after_usd=answer.after.usd + new,
        not_priced=sorted("/".join(one) for one in unknown),
    )
    return found.model_copy(update={"at_base": at_base, "budget_before_usd": answer.budget_usd})


def changed_prices(base_dir: Path, head_dir: Path) -> list[PriceChange]:
    """The rows that have another price; a file that cannot be read counts as one without rows."""
    before, after = _rows(base_dir), _rows(head_dir)
    return [
        PriceChange(region=region, key=key, before_usd=before.get((region, key)), after_usd=after.get((region, key)))
        for region, key in sorted(before.keys() | after.keys())
        if before.get((region, key)) != after.get((region, key))
    ]


def _rows(folder: Path) -> dict[tuple[str, str], Decimal]:
    found = {}
    for region in prices.regions(folder):
        try:
            book = prices.load(region, folder)
        except (HaError, OSError):
            continue
        found.update({(region, price.key): price.usd for price in book.prices.values()})
    return found


def _report_of_revision(revision: Revision, declared: Sequence[Resource], name: str, prices_dir: Path) -> Report:
    """Its settings are its own program's to check: only its region is read here."""
    config = stacks.config_of(name, stacks_dir=revision.folder)
    return stacks.priced(
        name,
        declared,
        stacks.price_book(str(config.get(REGION_KEY)), prices_dir),
        budget_usd=Decimal(0),  # a diff has no budget but the changed side's
        assumptions=_assumptions(revision),
    )


def _assumptions(revision: Revision) -> usage.Usage | None:
    """What that revision assumed; None (this checkout's) when it assumed nothing that can be read today."""
    path = revision.folder / "cost" / "usage.yaml"
    try:
        return usage.load(path) if path.is_file() else None
    except HaError:
        return None

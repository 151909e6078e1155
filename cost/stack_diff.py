"""What a change of this repository costs: each stack of this checkout against another revision or other settings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from cost import prices, stacks, usage
from cost.diff import Diff, StackDiff, compare
from cost.report import Report
from cost.revision import ProgramRun, Revision, checked_out
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import REGION_KEY


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

    :raises HaError: (exit 2) for a revision that git does not know, or settings that do not validate.
    """
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
            after = stacks.report_of(name, changes, stacks_dir=stacks_dir, prices_dir=prices_dir)
            if revision is None:
                before: Report | None = stacks.report_of(name, stacks_dir=stacks_dir, prices_dir=prices_dir)
            else:
                before = _report_of_revision(revision, runs[name], name, prices_dir) if name in runs else None
            reports.append(after)
            diffs.append(compare(before, after))
    compared_with = f"{revision.name} ({revision.commit[:12]})" if revision else this_checkout()
    return Diff(base=compared_with, head=this_checkout(changes), stacks=diffs), reports


def this_checkout(changes: Sequence[str] = ()) -> str:
    """What a diff calls this checkout, with changes made to its settings."""
    return f"this checkout with {', '.join(changes)}" if changes else "this checkout"


def _report_of_revision(revision: Revision, run: ProgramRun, name: str, prices_dir: Path) -> Report:
    """Its settings are its own program's to check: only its region is read here."""
    declared = run.declared()
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

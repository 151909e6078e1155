"""From two states of the repository to their difference."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from cost import prices, usage
from cost import stack as stacks
from cost.diff import Diff, StackDiff, compare
from cost.report import Report
from cost.revision import Revision, Run, checked_out
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import REGION_KEY


def of_stacks(
    names: Sequence[str],
    base: str | None,
    changes: Sequence[str],
    prices_dir: Path = prices.PRICES_DIR,
    repository: Path = REPOSITORY,
) -> tuple[Diff, list[Report]]:
    """Each stack of this checkout, with `changes` made to its settings, against `base`; without a base, against this
    checkout as it is. Also the reports of the changed side, for the gate.

    :raises HaError: (exit 2) for a revision that git does not know, or settings that do not validate.
    """
    diffs: list[StackDiff] = []
    reports: list[Report] = []
    with ExitStack() as cleanup:
        revision = cleanup.enter_context(checked_out(repository, base)) if base is not None else None
        runs: dict[str, Run] = {}
        for name in names:
            if revision and revision.has_stack(name):
                runs[name] = Run(revision, name)
                cleanup.callback(runs[name].stop)
        for name in names:
            after = _here(name, changes, prices_dir)
            if revision is None:
                before: Report | None = _here(name, (), prices_dir)
            else:
                before = _there(revision, runs[name], name, prices_dir) if name in runs else None
            reports.append(after)
            diffs.append(compare(before, after))
    here = "this checkout"
    head = f"{here} with {', '.join(changes)}" if changes else here
    return Diff(
        base=f"{revision.name} ({revision.commit[:12]})" if revision else here, head=head, stacks=diffs
    ), reports


def _here(name: str, changes: Sequence[str], prices_dir: Path) -> Report:
    config = stacks.config_of(name, changes)
    settings = stacks.settings_of(name, config)
    return stacks.report_of(
        name,
        stacks.declared_by(name, config, settings),
        region=settings.region,
        budget_usd=settings.budget_monthly_usd,
        prices_dir=prices_dir,
    )


def _there(revision: Revision, run: Run, name: str, prices_dir: Path) -> Report:
    """The report of another revision. Its settings are its own program's to check: only its region is read here."""
    declared = run.declared()
    config = stacks.config_of(name, project_dir=revision.folder)
    return stacks.report_of(
        name,
        declared,
        region=str(config.get(REGION_KEY)),
        budget_usd=Decimal(0),  # a diff knows no budget but the changed side's
        assumptions=_assumptions(revision),
        prices_dir=prices_dir,
    )


def _assumptions(revision: Revision) -> usage.Usage | None:
    """What that revision assumed; None (this checkout's) when it assumed nothing that can be read today."""
    path = revision.folder / "cost" / "usage.yaml"
    try:
        return usage.load(path) if path.is_file() else None
    except HaError:
        return None

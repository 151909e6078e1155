"""From a stack's name to its report: reads its settings, runs the program, prices what it declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from cost import prices, report, usage
from cost.diff import APPROVAL_LABEL, Diff, needs_approval
from cost.estimate import estimate
from cost.money import usd
from cost.preview import resources_in
from cost.resources import Resource, provider_resources
from spec.errors import EXIT_PROMISE_BROKEN, EXIT_USAGE, HaError
from spec.project import REPOSITORY
from spec.settings import Settings
from spec.stack_file import REGION_KEY, SETTINGS_KEY, parse_settings, read_stack_config, stack_file


def report_of(
    stack: str,
    changes: Sequence[str] = (),
    *,
    preview: Path | None = None,
    stacks_dir: Path = REPOSITORY,
    prices_dir: Path = prices.PRICES_DIR,
) -> report.Report:
    """What a stack costs, with `changes` made to its settings.

    :param preview: an engine's preview, in place of a run of the program.
    :param stacks_dir: the folder of the stack's file; the program is this checkout's.
    :raises HaError: exit 2 for bad settings, exit 3 for a region without prices.
    """
    return priced_with_resources(stack, changes, preview=preview, stacks_dir=stacks_dir, prices_dir=prices_dir)[0]


def priced_with_resources(
    stack: str,
    changes: Sequence[str] = (),
    *,
    preview: Path | None = None,
    stacks_dir: Path = REPOSITORY,
    prices_dir: Path = prices.PRICES_DIR,
) -> tuple[report.Report, list[Resource]]:
    """`report_of`, and the resources that it priced."""
    config = config_of(stack, changes, stacks_dir)
    settings = settings_of(stack, config)
    book = price_book(settings.region, prices_dir)
    declared = resources_in(preview, stack) if preview else declared_by(stack, config, settings)
    return priced(stack, declared, book, budget_usd=settings.budget_monthly_usd), declared


def config_of(stack: str, changes: Sequence[str] = (), stacks_dir: Path = REPOSITORY) -> dict[str, Any]:
    """A stack's configuration, with changes such as `application.count=3` put into it (`region=…` is AWS's).

    :raises HaError: (exit 2) when there is no such stack or a change cannot be read.
    """
    import yaml

    config = read_stack_config(stacks_dir, stack)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise _bad_change(change, "it is not of the form name=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise _bad_change(change, f"{text!r} is not a value in YAML") from None
        if path == "region":
            config[REGION_KEY] = value
            continue
        group = config[SETTINGS_KEY]
        *above, name = path.split(".")
        for part in above:
            group = group.setdefault(part, {}) if isinstance(group, dict) else None
        if not isinstance(group, dict):
            raise _bad_change(change, f"there is no setting {path}")
        group[name] = value
    return config


def settings_of(stack: str, config: Mapping[str, Any]) -> Settings:
    """:raises SettingsError: (exit 2) with all that is wrong."""
    return parse_settings(config.get(SETTINGS_KEY), config.get(REGION_KEY), source=stack_file(REPOSITORY, stack).name)


def declared_by(stack: str, config: Mapping[str, Any], settings: Settings) -> list[Resource]:
    """What the program of this checkout declares. :raises HaError: what the program refuses (exit 2)."""
    import pulumi

    from cost.program import record, with_release

    with with_release(REPOSITORY, settings.application.release) as folder:
        try:
            recording = record(folder, stack, config)
        except pulumi.RunError as refused:
            raise HaError(
                f"the program refuses the stack: {refused}", where=f"stack {stack}", exit_code=EXIT_USAGE
            ) from None
        except Exception as fault:
            raise HaError(
                f"the program failed: {type(fault).__name__}: {fault}",
                where=f"stack {stack}",
                fix="`ha --debug cost …` shows where",
                exit_code=EXIT_USAGE,
            ) from fault
    return provider_resources(recording.registrations)


def price_book(region: str, folder: Path = prices.PRICES_DIR) -> prices.PriceBook:
    """:raises HaError: exit 3 when the region has no prices; exit 2 when a price is invalid."""
    try:
        return prices.load(region, folder)
    except FileNotFoundError:
        raise HaError(
            f"no prices for region {region}",
            where=f"cost/prices/{region}.json",
            fix=f"add the file, as docs/costs.md says, or take one of: {', '.join(prices.regions(folder))}",
            exit_code=EXIT_PROMISE_BROKEN,
        ) from None


def priced(
    stack: str,
    declared: Sequence[Resource],
    book: prices.PriceBook,
    *,
    budget_usd: Decimal,
    assumptions: usage.Usage | None = None,
) -> report.Report:
    """The report of what was declared, at the usage of this checkout unless another is given.

    :raises HaError: (exit 2) when an assumption is invalid.
    """
    used = assumptions or usage.load()
    return report.make(stack, budget_usd, estimate(declared, book, used), book, used)


def enforce_budgets(reports: Sequence[report.Report]) -> None:
    """:raises HaError: exit 3 when something is unpriced or a stack is over its budget."""
    unpriced = [(r.stack, u) for r in reports for u in r.unpriced]
    if unpriced:
        found = "\n".join(f"  - {s}: {u.component}/{u.resource} ({u.type}): {u.reason}" for s, u in unpriced)
        count = "1 resource" if len(unpriced) == 1 else f"{len(unpriced)} resources"
        raise HaError(
            f"{count} could not be priced, so the estimate is not complete\n{found}",
            where="cost/resource_types.py, cost/prices/",
            fix="add the price or the price mapping that is missing: see docs/costs.md",
            exit_code=EXIT_PROMISE_BROKEN,
        )
    over = [r for r in reports if not r.within_budget]
    if over:
        found = "; ".join(
            f"stack {r.stack} costs {usd(r.monthly_usd)} a month, "
            f"{usd(-r.left_usd)} over its budget of {usd(r.budget_usd)}"
            for r in over
        )
        raise HaError(
            found,
            where=", ".join(f"Pulumi.{r.stack}.yaml, budget_monthly_usd" for r in over),
            fix="make the estate smaller, or raise the budget in the same change, where it can be reviewed",
            exit_code=EXIT_PROMISE_BROKEN,
        )


def enforce_approval(found: Diff) -> None:
    """:raises HaError: exit 3 when the estimate stands on the change's own word."""
    if reasons := needs_approval(found):
        raise HaError(
            "the change needs the approval of a person\n" + "\n".join(f"  - {one}" for one in reasons),
            where="ha cost diff",
            fix=f"give the pull request the label {APPROVAL_LABEL}, or --approved here, once the change is agreed with",
            exit_code=EXIT_PROMISE_BROKEN,
        )


def _bad_change(change: str, why: str) -> HaError:
    return HaError(
        f"--set {change}: {why}",
        where="command line",
        fix="for example: --set application.count=3",
        exit_code=EXIT_USAGE,
    )

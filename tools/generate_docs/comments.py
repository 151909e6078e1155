"""docs/samples: the comment on the changes that people make, each as a page of its own.

Previews are the real engine's, taken from the stack dev of `tests/stacks/` against the lab's AWS and cut to what
differs (`docs/samples/inputs/`). The cost is computed here.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import yaml

from cost import prices, report, stacks, usage
from cost.diff import AtBase, Diff, PriceChange, StackDiff, compare
from cost.estimate import Estimate, estimate
from cost.program import record, with_release
from cost.report import Report
from cost.resource_types import Group
from review.changes import stack_change
from review.comment import comment
from review.document import Changes, StackChange
from review.inputs import read_previews
from review.preview import Missing, Preview
from review.rendered import Stack, rendered
from spec.project import REPOSITORY
from tools.generate_docs.costs import STACKS_DIR, report_of

INPUTS = REPOSITORY / "docs" / "samples" / "inputs"
BASE, HEAD = "main (0123456789ab)", "this checkout"


def third_application_host() -> str:
    """The commonest change."""
    return _sample("a third application host", "third-application-host", "application.count=3")


def new_release() -> str:
    found = _changes(sources="3 files of app/ changed: when it is built, application hosts get another release")
    return _page("a new release", comment(changes=found, cost=_same_cost(), previews=[_preview("new-release")]).text)


def timer() -> str:
    return _sample("a timer", "timer", "timers.application_drain_s=5")


def larger_volume() -> str:
    return _sample("larger volumes of the database hosts", "larger-volume", "database.volume_gib=40")


def first_preview() -> str:
    """All that prod has, which is not there yet."""
    config = stacks.config_of("prod", stacks_dir=STACKS_DIR)
    with with_release(REPOSITORY, stacks.settings_of("prod", config).application.release) as folder:
        urns = sorted(one.urn for one in record(folder, "prod", config).registrations)
    document = {"steps": [{"op": "create", "urn": urn} for urn in urns], "changeSummary": {"create": len(urns)}}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "preview.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        previews = read_previews([("prod", path)])
    changes = _document(stack_change("prod", _rendered("prod"), None, new=True))
    cost = _diff(_against_base("prod", None, report_of("prod"), new=True))
    text = comment(changes=changes, cost=cost, previews=previews).text
    return _page("the first preview of a stack", text)


def three_stacks() -> str:
    """One change of two, and a third whose preview did not run to its end."""
    previews = [_preview("replaced-host"), _preview("nothing", "prod"), Missing("staging", "the run has not left one")]
    dev = _rendered("dev")
    hosts = [
        host.model_copy(update={"user_data": f"{host.user_data}# edited\n"}) if host.name == "db1" else host
        for host in dev.hosts
    ]
    changes = _document(
        stack_change("dev", dev.model_copy(update={"hosts": hosts}), dev),
        *(stack_change(name, dev, dev) for name in ("prod", "staging")),
    )
    cost_of_dev = _against_base("dev", report_of("dev"), report_of("dev"))
    prod = _against_base("prod", report_of("prod"), report_of("prod"))
    cost = _diff(cost_of_dev, prod, cost_of_dev.model_copy(update={"stack": "staging"}))
    return _page("three stacks", comment(changes=changes, cost=cost, previews=previews).text)


def price_edited() -> str:
    """A dear instance type, and its price row at a cheap one's in the same change."""
    key, cheap = "ec2.m7i.4xlarge.hour", Decimal("0.0416")
    book = prices.load("us-east-1")
    row = book.prices[key]
    edited = prices.PriceBook(book.region, {**book.prices, key: replace(row, usd=cheap)})
    declared = stacks.priced_with_resources("dev", ("application.instance_type=m7i.4xlarge",), stacks_dir=STACKS_DIR)
    base = report_of("dev")
    after = stacks.priced("dev", declared[1], edited, budget_usd=base.budget_usd)
    cost = Diff(
        base=BASE,
        head=HEAD,
        stacks=[_against_base("dev", base, after, at_base=declared[0])],
        edited=["cost/prices/us-east-1.json"],
        prices=[PriceChange(region="us-east-1", key=key, before_usd=row.usd, after_usd=cheap)],
    )
    changes = _changes("application.instance_type=m7i.4xlarge")
    return _page("a price edited", comment(changes=changes, cost=cost, previews=[]).text)


def budget_raised() -> str:
    settings = ("budget_monthly_usd=5000", "application.count=4")
    cost = _diff(_against_base("dev", report_of("dev"), report_of("dev", *settings)))
    return _page("a budget raised", comment(changes=_changes(*settings), cost=cost, previews=[]).text)


def estimator_edited() -> str:
    """The estimator does not count alarms any more."""
    base = report_of("dev")
    book, used = prices.load("us-east-1"), usage.load()
    found = estimate(stacks.priced_with_resources("dev", stacks_dir=STACKS_DIR)[1], book, used)
    kept = tuple(line for line in found.lines if line.group is not Group.ALERTS)
    after = report.make("dev", base.budget_usd, Estimate(kept, found.free, found.unpriced), book, used)
    cost = _diff(_against_base("dev", base, after, at_base=base)).model_copy(
        update={"edited": ["cost/resource_types.py"]}
    )
    return _page("an estimator edited", comment(changes=_changes(), cost=cost, previews=[_nothing()]).text)


def base_that_cannot_run() -> str:
    failed = "the program of main (stack dev) failed: ModuleNotFoundError: No module named 'dropped'"
    after = report_of("dev")
    found = _against_base("dev", None, after).model_copy(update={"before_failed": failed})
    changes = _document(stack_change("dev", _rendered("dev"), None))
    changes = changes.model_copy(update={"base_failed": "No module named 'dropped'"})
    return _page("a base that cannot run", comment(changes=changes, cost=_diff(found), previews=[_nothing()]).text)


def failed_preview() -> str:
    """A volume made smaller, which a running estate cannot take."""
    return _sample("a failed preview", "failed", "database.volume_gib=10")


SAMPLES: dict[str, Callable[[], str]] = {
    "docs/samples/pull-request-comment.md": third_application_host,
    "docs/samples/new-release.md": new_release,
    "docs/samples/timer.md": timer,
    "docs/samples/larger-volume.md": larger_volume,
    "docs/samples/first-preview.md": first_preview,
    "docs/samples/three-stacks.md": three_stacks,
    "docs/samples/price-edited.md": price_edited,
    "docs/samples/budget-raised.md": budget_raised,
    "docs/samples/estimator-edited.md": estimator_edited,
    "docs/samples/base-that-cannot-run.md": base_that_cannot_run,
    "docs/samples/failed-preview.md": failed_preview,
}


def _page(what: str, text: str) -> str:
    return f"The comment on a pull request: {what}. Written by `make docs`.\n\n{text}"


def _preview(name: str, stack: str = "dev") -> Preview | Missing:
    """An input; the engine's preview of dev, as another stack's when one is named."""
    text = (INPUTS / f"{name}.json").read_text(encoding="utf-8").replace("urn:pulumi:dev::", f"urn:pulumi:{stack}::")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "preview.json"
        path.write_text(text, encoding="utf-8")
        return read_previews([(stack, path)])[0]


def _nothing() -> Preview | Missing:
    return _preview("nothing")


def _sample(what: str, preview: str, *settings: str) -> str:
    """The comment on a change of settings of dev."""
    cost = _diff(_against_base("dev", report_of("dev"), report_of("dev", *settings)))
    return _page(what, comment(changes=_changes(*settings), cost=cost, previews=[_preview(preview)]).text)


def _rendered(stack: str, *settings: str) -> Stack:
    """A stack of the tests, with changes made to its settings."""
    config = stacks.config_of(stack, settings, stacks_dir=STACKS_DIR)
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
        return rendered([stack], Path(temporary)).stacks[stack]


def _changes(*settings: str, sources: str = "") -> Changes:
    """`ha diff` of dev with changes made to its settings, against dev as it is."""
    found = stack_change("dev", _rendered("dev", *settings), _rendered("dev"), sources=sources)
    return _document(found).model_copy(update={"release": sources})


def _document(*found: StackChange) -> Changes:
    return Changes(base=BASE, head=HEAD, stacks=list(found))


def _same_cost() -> Diff:
    return _diff(_against_base("dev", report_of("dev"), report_of("dev")))


def _diff(*found: StackDiff) -> Diff:
    return Diff(base=BASE, head=HEAD, stacks=list(found))


def _against_base(
    stack: str, before: Report | None, after: Report, *, at_base: Report | None = None, new: bool = False
) -> StackDiff:
    """:param at_base: the changed side as the base prices it; without it, as the change does."""
    priced = AtBase(
        before_usd=before.monthly_usd if before else None,
        after_usd=(at_base or after).monthly_usd,
        not_priced=[],
    )
    budget = None if new else (before or report_of(stack)).budget_usd
    return compare(before, after).model_copy(update={"at_base": priced, "budget_before_usd": budget})

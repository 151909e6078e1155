"""docs/samples: the comment on the changes that people make, each as a page of its own.

Previews are the real engine's, taken from the stack dev of `tests/stacks/` against the lab's AWS and cut to what
differs (`docs/samples/inputs/`). The cost is computed here.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from cost import prices, report, stacks, usage
from cost.diff import AtBase, Diff, PriceChange, StackDiff, compare
from cost.estimate import Estimate, estimate
from cost.program import record, with_release
from cost.report import Report
from cost.resource_types import Group
from review.comment import Missing, comment
from review.document import Action, Changes, HostChange, SettingChange, StackChange
from review.inputs import read_previews
from review.preview import Preview
from spec.project import REPOSITORY
from spec.tiers import Tier
from tools.generate_docs.costs import STACKS_DIR, report_of

INPUTS = REPOSITORY / "docs" / "samples" / "inputs"
BASE, HEAD = "main (0123456789ab)", "this checkout"


def third_application_host() -> str:
    """The commonest change."""
    setting = SettingChange(name="application.count", before="2", after="3")
    hosts = [
        _host("app3", Tier.APP, "added"),
        _host("monitor1", Tier.MONITOR, "changes", _action("reload", "prometheus.service", "etc/prometheus/hosts.yml")),
        _host("lb1", Tier.LB, "changes", _action("reload", "haproxy.service", "etc/haproxy/haproxy.cfg")),
    ]
    cost = _diff(_against_base("dev", report_of("dev"), report_of("dev", "application.count=3")))
    return _page(
        "a third application host",
        comment(changes=_changes(hosts, [setting]), cost=cost, previews=[_preview("third-application-host")]).text,
    )


def new_release() -> str:
    hosts = [
        _host(name, Tier.APP, "changes", _action("restart", "event-manager.service", "release"), hands_over=True)
        for name in ("app1", "app2")
    ]
    changes = _changes(hosts, []).model_copy(update={"release": "app/ differs: another release is built."})
    return _page("a new release", comment(changes=changes, cost=_same_cost(), previews=[_preview("new-release")]).text)


def timer() -> str:
    setting = SettingChange(name="timers.application_drain_s", before="3", after="5")
    hosts = [_host(name, Tier.APP, "changes") for name in ("app1", "app2")]
    return _page(
        "a timer", comment(changes=_changes(hosts, [setting]), cost=_same_cost(), previews=[_preview("timer")]).text
    )


def larger_volume() -> str:
    setting = SettingChange(name="database.volume_gib", before="20", after="40")
    cost = _diff(_against_base("dev", report_of("dev"), report_of("dev", "database.volume_gib=40")))
    text = comment(changes=_changes([], [setting]), cost=cost, previews=[_preview("larger-volume")]).text
    return _page("larger volumes of the database hosts", text)


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
    changes = _changes(_all_added("prod"), [], stack="prod", new=True)
    text = comment(changes=changes, cost=_diff(compare(None, report_of("prod"))), previews=previews).text
    return _page("the first preview of a stack", text)


def three_stacks() -> str:
    """One change of two, and a third whose preview did not run to its end."""
    previews = [_preview("replaced-host"), _preview("nothing", "prod"), Missing("staging", "the run has not left one")]
    hosts = [_host("db1", Tier.DB, "replaced", hands_over=True, because=["user data"])]
    found = [
        _changes(hosts, []).stacks[0],
        *(_changes([], [], stack=name).stacks[0] for name in ("prod", "staging")),
    ]
    changes = Changes(base=BASE, head=HEAD, stacks=[found[0].model_copy(update={"writes_wait_ms": 3000}), *found[1:]])
    dev = _against_base("dev", report_of("dev"), report_of("dev"))
    prod = _against_base("prod", report_of("prod"), report_of("prod"))
    cost = _diff(dev, prod, dev.model_copy(update={"stack": "staging"}))
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
    setting = SettingChange(name="application.instance_type", before="t3.medium", after="m7i.4xlarge")
    return _page("a price edited", comment(changes=_changes([], [setting]), cost=cost, previews=[_nothing()]).text)


def budget_raised() -> str:
    after = report_of("dev", "budget_monthly_usd=5000", "application.count=4")
    setting = SettingChange(name="budget_monthly_usd", before="215", after="5000")
    cost = _diff(_against_base("dev", report_of("dev"), after))
    return _page("a budget raised", comment(changes=_changes([], [setting]), cost=cost, previews=[_nothing()]).text)


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
    return _page("an estimator edited", comment(changes=_changes([], []), cost=cost, previews=[_nothing()]).text)


def base_that_cannot_run() -> str:
    failed = "the program of main (stack dev) failed: ModuleNotFoundError: No module named 'dropped'"
    after = report_of("dev")
    found = _against_base("dev", None, after).model_copy(update={"before_failed": failed})
    changes = _changes(_all_added("dev"), []).model_copy(update={"base_failed": "No module named 'dropped'"})
    return _page("a base that cannot run", comment(changes=changes, cost=_diff(found), previews=[_nothing()]).text)


def failed_preview() -> str:
    """A volume made smaller, which a running estate cannot take."""
    setting = SettingChange(name="database.volume_gib", before="20", after="10")
    changes = _changes([], [setting])
    refused = changes.stacks[0].model_copy(update={"refused": ["database.volume_gib cannot shrink from 20 to 10"]})
    cost = _diff(_against_base("dev", report_of("dev"), report_of("dev", "database.volume_gib=10")))
    text = comment(
        changes=changes.model_copy(update={"stacks": [refused]}), cost=cost, previews=[_preview("failed")]
    ).text
    return _page("a failed preview", text)


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


def _all_added(stack: str) -> list[HostChange]:
    settings = stacks.settings_of(stack, stacks.config_of(stack, stacks_dir=STACKS_DIR))
    return [_host(plan.name, plan.tier, "added") for plan in settings.plan_hosts()]


def _changes(
    hosts: Sequence[HostChange], settings: Sequence[SettingChange], *, stack: str = "dev", new: bool = False
) -> Changes:
    """Stands in for the document of `ha diff`, which has the diffs of files too."""
    found = StackChange(
        stack=stack,
        new=new,
        refused=[],
        settings=list(settings),
        tiers=[],
        hosts=list(hosts),
        writes_wait_ms=None,
    )
    return Changes(base=BASE, head=HEAD, stacks=[found])


def _host(
    name: str, tier: Tier, fate: str, *actions: Action, hands_over: bool = False, because: Sequence[str] = ()
) -> HostChange:
    return HostChange.model_validate(
        {
            "name": name,
            "tier": tier,
            "fate": fate,
            "because": because,
            "actions": actions,
            "hands_over": hands_over,
        }
    )


def _action(verb: str, unit: str, file: str) -> Action:
    return Action.model_validate({"verb": verb, "unit": unit, "because": [file]})


def _same_cost() -> Diff:
    return _diff(_against_base("dev", report_of("dev"), report_of("dev")))


def _diff(*found: StackDiff) -> Diff:
    return Diff(base=BASE, head=HEAD, stacks=list(found))


def _against_base(stack: str, before: Report | None, after: Report, *, at_base: Report | None = None) -> StackDiff:
    """:param at_base: the changed side as the base prices it; without it, as the change does."""
    priced = AtBase(
        before_usd=before.monthly_usd if before else None,
        after_usd=(at_base or after).monthly_usd,
        not_priced=[],
    )
    budget = (before or report_of(stack)).budget_usd
    return compare(before, after).model_copy(update={"at_base": priced, "budget_before_usd": budget})

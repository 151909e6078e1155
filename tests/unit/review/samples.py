"""Documents for tests of the comment, in the forms in which `pulumi`, `ha cost diff` and `ha diff` print them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cost.diff import Diff, DiffLine, Side, StackDiff
from review.document import Action, Changes, FileDiff, HostChange, SettingChange, StackChange, TierChange
from spec.tiers import Tier

Step = dict[str, Any]


def cost(**changes: object) -> Diff:
    """A third application host."""
    side = Side(item="instance t3.medium", quantity=Decimal(730), unit="hours", monthly_usd=Decimal("30.368"))
    line = DiffLine(
        component="hosts/app3",
        resource="app3",
        change="added",
        before=None,
        after=side,
        difference_usd=Decimal("30.368"),
    )
    found = StackDiff(
        stack="dev",
        region="us-east-1",
        region_before="us-east-1",
        before_usd=Decimal("178.5009"),
        after_usd=Decimal("208.8689"),
        difference_usd=Decimal("30.368"),
        budget_usd=Decimal(215),
        within_budget=True,
        lines=[line],
        unchanged=42,
        before_unpriced=[],
        unpriced=[],
        low_confidence=[],
    )
    return Diff(base="main (0123456789ab)", head="this checkout", stacks=[found.model_copy(update=changes)])


def changes(stack: str = "dev", *, diff: str = "-old\n+new", files: int = 1) -> Changes:
    """An edited file of the load balancer."""
    paths = [f"etc/haproxy/{number}.cfg" for number in range(files)]
    tier = TierChange(
        tier=Tier.LB,
        files=[FileDiff(path=path, change="changed", hosts=["lb1"], diff=diff) for path in paths],
        packages_added=["socat"],
        packages_removed=[],
    )
    host = HostChange(
        name="lb1",
        tier=Tier.LB,
        fate="changes",
        because=[],
        actions=[Action(verb="reload", unit="haproxy.service", because=paths[:1])],
        hands_over=False,
        outage="",
    )
    found = StackChange(
        stack=stack,
        new=False,
        refused=[],
        settings=[SettingChange(name="timers.fence_lease_ms", before="800", after="900")],
        tiers=[tier],
        hosts=[host],
        writes_wait_ms=1250,
    )
    return Changes(base="main (0123456789ab)", head="this checkout", stacks=[found])


def step(op: str, type_: str, name: str, *, stack: str = "dev", **more: Any) -> Step:
    """A step as the engine prints it. `old` and `new`: inputs; other names as they are."""
    urn = f"urn:pulumi:{stack}::ha::ha:host:Host${type_}::{name}"
    found: Step = {"op": op, "urn": urn}
    for state, side in (("oldState", "old"), ("newState", "new")):
        if side in more:
            found[state] = {"urn": urn, "type": type_, "inputs": more.pop(side)}
    return {**found, **more}


def preview(steps: Iterable[Step], errors: Iterable[str] = ()) -> dict[str, Any]:
    """What `pulumi preview --json` prints."""
    listed = list(steps)
    summary: dict[str, int] = {}
    for one in listed:
        summary[one["op"]] = summary.get(one["op"], 0) + 1
    diagnostics = [{"message": f"error: {text}\n", "severity": "error"} for text in errors]
    return {"config": {}, "steps": listed, "diagnostics": diagnostics, "duration": 1, "changeSummary": summary}


def replaced(name: str, type_: str, before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Step:
    return step(
        "replace",
        type_,
        name,
        old=before,
        new=after,
        diffReasons=[path],
        replaceReasons=[path],
        detailedDiff={path: {"kind": "update-replace", "inputDiff": True}},
    )

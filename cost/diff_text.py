"""A diff as text, in the form that Infracost's users know: `+`, `-` and `~`, line by line."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby

from cost.diff import GONE, Diff, DiffLine, StackDiff
from cost.money import percent, price, quantity, signed_usd, usd, usd_or_dash

_MARKS = {"added": "+", "removed": "-", "changed": "~"}
KEY = "Key: ~ changed, + added, - removed"


def diff(found: Diff) -> str:
    parts = [f"Monthly cost change, {found.base} → {found.head}", *map(stack, found.stacks)]
    parts += [f"{name}: {GONE}" for name in found.gone]
    if found.prices:
        parts.append("\n".join(["Prices that the change edits:", *price_lines(found)]))
    if found.edited:
        parts.append("\n".join(["Files of the estimate, or of what shows it, that the change edits:", *found.edited]))
    return "\n\n".join([*parts, KEY])


def price_lines(found: Diff) -> list[str]:
    def shown(amount: Decimal | None) -> str:
        return "none" if amount is None else price(amount)

    return [f"{one.region} {one.key} {shown(one.before_usd)} → {shown(one.after_usd)}" for one in found.prices]


def sentence(found: StackDiff) -> str:
    """What happens to the bill, and whether the budget holds."""
    if found.before_failed:
        what = f"{found.stack} costs {usd(found.after_usd)} a month; what it cost before is not known"
    elif found.before_usd is None:
        what = f"{found.stack} is new: {usd(found.after_usd)} a month"
    elif not found.lines:
        what = f"{found.stack} stays at {usd(found.after_usd)} a month"
    else:
        way = "rises" if found.difference_usd > 0 else "falls" if found.difference_usd < 0 else "moves"
        part = percent(found.before_usd, found.after_usd)
        what = (
            f"{found.stack} {way} by {usd(abs(found.difference_usd))} a month{f' ({part})' if part else ''}, "
            f"from {usd(found.before_usd)} to {usd(found.after_usd)}"
        )
    return f"{what}; {budget(found)}"


def budget(found: StackDiff) -> str:
    """Whether the changed stack is within its budget, and what that was before."""
    before = found.budget_before_usd
    return left(found) + ("" if before in (None, found.budget_usd) else f", which was {usd_or_dash(before)}")


def at_base(found: StackDiff) -> str:
    """What the change costs by the estimator of the base; empty without a base, and when it says the same."""
    if found.at_base_failed:
        return f"the base's own estimator cannot price this: {found.at_base_failed}"
    if found.at_base is None or (found.before_usd, found.after_usd) == (
        found.at_base.before_usd,
        found.at_base.after_usd,
    ):
        return ""
    before, after = found.at_base.before_usd, found.at_base.after_usd
    way = f"{usd(before)} → {usd(after)}, {signed_usd(after - before)}" if before is not None else usd(after)
    unknown = found.at_base.not_priced
    return f"at the base's prices: {way}" + (f" (at the change's: {', '.join(unknown)})" if unknown else "")


def left(found: StackDiff) -> str:
    if found.unpriced:
        count = "1 resource is" if len(found.unpriced) == 1 else f"{len(found.unpriced)} resources are"
        return f"{count} not priced, so the estimate is not complete"
    left = found.budget_usd - found.after_usd
    if found.within_budget:
        return f"{usd(left)} left of the budget of {usd(found.budget_usd)}"
    return f"{usd(-left)} over the budget of {usd(found.budget_usd)}"


def stack(found: StackDiff) -> str:
    parts = [sentence(found)]
    if found.region_before not in (None, found.region):
        parts.append(f"region {found.region_before} → {found.region}")
    if lines := changes(found):
        parts += ["", lines]
    if found.before_failed:
        parts.append(f"before: not known, {found.before_failed}")
    if line := at_base(found):
        parts.append(line)
    parts += [f"not priced before: {u.component}/{u.resource}: {u.reason}" for u in found.before_unpriced]
    parts += [f"NOT PRICED {u.component}/{u.resource} ({u.type}): {u.reason}" for u in found.unpriced]
    return "\n".join(parts)


def changes(found: StackDiff) -> str:
    """The lines that changed, under their component, with its difference."""
    rows = []
    for component, group in groupby(found.lines, key=lambda li: li.component):
        lines = list(group)
        marks = {_MARKS[li.change] for li in lines}
        mark = marks.pop() if len(marks) == 1 else "~"
        difference_usd = sum((li.difference_usd for li in lines), Decimal(0))
        rows.append((f"{mark} {component or '(top)'}", signed_usd(difference_usd)))
        for line in lines:
            rows.append((f"    {_MARKS[line.change]} {what(line)}", detail(line)))
    width = max((len(row[0]) for row in rows), default=0)
    return "\n".join(f"{name:<{width}}  {cost}".rstrip() for name, cost in rows)


def what(line: DiffLine) -> str:
    """The line's item, its quantity where that is what changed, and its resource where the component is another."""
    before, after = line.before, line.after
    side = after or before
    assert side is not None
    name = side.item
    if before and after and before.item != after.item:
        name = f"{before.item} → {after.item}"
    if before and after and before.quantity != after.quantity:
        name += f", {quantity(before.quantity)} → {quantity(after.quantity)} {after.unit}"
    own = line.component.rpartition("/")[2] == line.resource
    return name if own else f"{name} ({line.resource})"


def detail(line: DiffLine) -> str:
    text = signed_usd(line.difference_usd)
    if line.before and line.after:
        text += f" ({usd(line.before.monthly_usd)} → {usd(line.after.monthly_usd)})"
    return text

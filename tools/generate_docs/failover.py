"""The generated part of docs/failover.md: the budget of each database fault, and what fences the old primary."""

from __future__ import annotations

from drills.budget import Budget, budgets, fence, seconds
from spec import markdown
from spec.timers import Timers

HEADINGS = ("fault", "detection", "fencing", "promotion", "routing", "at most")


def budget_page(timers: Timers) -> str:
    """The budgets as a table, and the fence in a sentence."""
    return f"{markdown.table(HEADINGS, [_row(one) for one in budgets(timers)])}\n\n{fence(timers)}\n"


def _row(budget: Budget) -> list[str]:
    if budget.unbounded:
        return [f"`{budget.fault}`", "", "", "", "", f"no limit: {budget.unbounded}"]
    parts = (budget.detection_ms, budget.fencing_ms, budget.promotion_ms, budget.routing_ms, budget.total_ms)
    return [f"`{budget.fault}`", *(seconds(part) for part in parts)]

"""The report as Markdown."""

from __future__ import annotations

from cost import text
from cost.money import usd, usd_or_dash
from cost.report import Report
from spec.markdown import code, fold, plain, plain_table


def report(found: Report) -> str:
    """`ha cost --markdown`."""
    verdict = "✅" if not found.unpriced and found.within_budget else "❌"
    parts = [
        f"## Cost of {plain(found.stack)}",
        f"{verdict} {plain(text.budget(found))}",
        fold("Every line", code(text.lines_table(found))),
        "### The guide's table beside ours",
        guide_table(found),
        "### Managed services, and savings options",
        code(text.managed_table(found)),
        code(text.savings_table(found)),
    ]
    return "\n\n".join(parts) + "\n"


def guide_table(found: Report) -> str:
    """The guide's rows, ours that it lacks, and the reason for each difference."""
    rows = [
        (row.component, usd_or_dash(row.guide_usd), usd_or_dash(row.list_usd), usd(row.ours_usd), row.why)
        for row in found.guide
    ]
    rows.append(("Total", usd(found.guide_total_usd), usd(found.guide_list_usd), usd(found.monthly_usd), ""))
    return plain_table(("Component", "guide", "at list price", "ours", "why they differ"), rows, "lrrrl")

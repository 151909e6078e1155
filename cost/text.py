"""The report and the diff as text: for a terminal and, in code blocks, for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from cost.estimate import Line, total
from cost.money import quantity, usd, usd_or_dash
from cost.prices import Confidence
from cost.report import Report

UNCONFIRMED = " (unconfirmed)"
_HEAD = ("Name", "Monthly Qty", "Unit", "Monthly Cost")


def report(found: Report) -> str:
    """The whole report: lines, total and budget, the guide's table, managed services, savings options."""
    parts = [lines_table(found), budget(found), guide_table(found), managed_table(found), savings_table(found)]
    return "\n\n".join(part for part in parts if part)


def label(line: Line) -> str:
    """What a line is called under its component; `*` marks a quantity that is assumed."""
    own = line.component.rpartition("/")[2] == line.resource
    return f"{line.item}{'' if own else f' ({line.resource})'}{' *' if line.basis == 'usage' else ''}"


def by_component(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    """Lines by component, in the order of their names; within one, the dearest first."""
    named = sorted(lines, key=lambda li: (li.component, -li.monthly_usd, li.resource, li.item))
    return [(component or "(top)", list(group)) for component, group in groupby(named, key=lambda li: li.component)]


def lines_table(found: Report) -> str:
    rows: list[Sequence[str]] = [_HEAD, ("", "", "", "")]
    for component, lines in by_component(found.lines):
        rows.append((component, "", "", usd(total(lines))))
        for number, line in enumerate(lines, 1):
            branch = "└─" if number == len(lines) else "├─"
            rows.append((f"{branch} {label(line)}", quantity(line.quantity), line.unit, usd(line.monthly_usd)))
    rows += [("", "", "", ""), ("TOTAL", "", "", usd(found.monthly_usd))]
    text = table(rows, "<><>")
    notes = [f"{len(found.lines)} lines; {len(found.free)} resources are free, {len(found.unpriced)} are not priced"]
    if any(li.basis == "usage" for li in found.lines):
        notes.append("* the quantity is an assumption of cost/usage.yaml")
    if found.low_confidence:
        notes.append(f"not confirmed by a second source: {', '.join(found.low_confidence)}")
    notes += [f"NOT PRICED {u.component}/{u.resource} ({u.type}): {u.reason}" for u in found.unpriced]
    return "\n".join([text, "", *notes])


def budget(found: Report) -> str:
    """One sentence: what the stack costs, and what is left of its budget."""
    if found.unpriced:
        kept = "which leaves out what is not priced"
    elif found.within_budget:
        kept = f"{usd(found.left_usd)} left of its budget of {usd(found.budget_usd)}"
    else:
        kept = f"{usd(-found.left_usd)} over its budget of {usd(found.budget_usd)}"
    return f"{found.stack} in {found.region}: {usd(found.monthly_usd)} a month, {kept}"


def guide_table(found: Report) -> str:
    rows: list[Sequence[str]] = [("The guide's table", "guide", "at list price", "ours", "why")]
    for row in found.guide:
        rows.append((row.component, usd_or_dash(row.guide_usd), usd_or_dash(row.list_usd), usd(row.ours_usd), row.why))
    rows.append(("Total", usd(found.guide_total_usd), usd(found.guide_list_usd), usd(found.monthly_usd), ""))
    return table(rows, "<>>><")


def managed_table(found: Report) -> str:
    managed = found.managed
    rows: list[Sequence[str]] = [("Managed services, same size", "Monthly Cost")]
    rows += [(part.item, f"{usd(part.monthly_usd)}{_doubt(part.confidence)}") for part in managed.parts]
    rows.append(("application hosts, network and alerts as they are", usd(managed.kept_usd)))
    rows += [(missing, "?") for missing in managed.unpriced]
    rows.append(("Total", "not known" if managed.monthly_usd is None else usd(managed.monthly_usd)))
    return table(rows, "<>")


def savings_table(found: Report) -> str:
    rows: list[Sequence[str]] = [("Savings options", "a month", "saves", "what it takes")]
    for saving in found.savings:
        if saving.monthly_usd is None or saving.saves_usd is None:
            rows.append((saving.name, "not known", "", "; ".join(saving.unpriced)))
        else:
            month = f"{usd(saving.monthly_usd)}{UNCONFIRMED if saving.low_confidence else ''}"
            rows.append((saving.name, month, usd(saving.saves_usd), saving.what_it_takes))
    return table(rows, "<>><")


def _doubt(confidence: Confidence) -> str:
    return UNCONFIRMED if confidence is Confidence.LOW else ""


def table(rows: Sequence[Sequence[str]], align: str) -> str:
    """Columns padded to their widest cell. :param align: `<` or `>` for each column."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(align))]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)).rstrip()
        for row in rows
    )

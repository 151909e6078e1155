"""The report and the diff as Markdown. A diff may come from a stranger's fork: nothing of its text is markup here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cost import diff_text, text
from cost.diff import Diff, StackDiff
from cost.money import signed_usd, usd, usd_or_dash
from cost.report import Report
from spec.markdown import table

MARKER = "<!-- ha: pull request -->"
_LIMIT = 12_000  # characters a block: GitHub takes 65,536 a comment, and there are two blocks a stack
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,:;/+()$%'=<→…✅❌_-]|<(?!\$)")  # `<$0.01` is an amount, no tag

_LINKED_BARE = re.compile(r"://|www\.|gh-(?=\d)", re.IGNORECASE)  # GitHub makes links of these without any sign


def report(found: Report) -> str:
    """`ha cost --markdown`."""
    parts = [
        f"## Cost of {_plain(found.stack)}",
        f"{_verdict(not found.unpriced and found.within_budget)} {_plain(text.budget(found))}",
        _fold("Every line", _code(text.lines_table(found))),
        "### The guide's table beside ours",
        guide_table(found),
        "### Managed services, and savings options",
        _code(text.managed_table(found)),
        _code(text.savings_table(found)),
    ]
    return "\n\n".join(parts) + "\n"


def guide_table(found: Report) -> str:
    """The guide's rows, ours that it lacks, and the reason for each difference."""
    rows = [
        (row.component, usd_or_dash(row.guide_usd), usd_or_dash(row.list_usd), usd(row.ours_usd), row.why)
        for row in found.guide
    ]
    rows.append(("Total", usd(found.guide_total_usd), usd(found.guide_list_usd), usd(found.monthly_usd), ""))
    return _table(("Component", "guide", "at list price", "ours", "why they differ"), rows, "lrrrl")


def comment(cost: Diff | None, previews: Sequence[tuple[str, str]], *, fork: bool = False) -> str:
    """The one comment of a pull request: what the change costs, whether budgets are kept, and what Pulumi would do.

    :param cost: None when the run that makes the estimate failed.
    :param previews: stack and the engine's output.
    :param fork: whether a stranger's code made the estimate.
    """
    parts = [MARKER, "## What this change costs"]
    if cost is None:
        parts.append(f"{_verdict(False)} There is no estimate: the run that makes it failed. Read its log.")
    else:
        parts += [_summary(cost), f"Compared: {_plain(cost.base)} → {_plain(cost.head)}.", *map(_stack, cost.stacks)]
    if fork:
        parts.append("This comes from a fork: its own code made the estimate, so read the changes under `cost/` first.")
    for stack, output in previews:
        parts += [f"## Preview of {_plain(stack)}", _fold("What Pulumi would do", _code(_short(output)))]
    return "\n\n".join(parts) + "\n"


def _summary(cost: Diff) -> str:
    rows = [
        (
            s.stack,
            usd_or_dash(s.before_usd),
            usd(s.after_usd),
            signed_usd(s.difference_usd),
            usd(s.budget_usd),
            f"{_verdict(s.within_budget)} {diff_text.budget(s)}",
        )
        for s in cost.stacks
    ]
    return _table(("Stack", "before", "after", "change", "budget", "gate"), rows, "lrrrrl")


def _stack(found: StackDiff) -> str:
    return _fold(diff_text.sentence(found), _code(_short(diff_text.stack(found)) + f"\n\n{diff_text.KEY}"))


def _verdict(kept: bool) -> str:
    return "✅" if kept else "❌"


def _plain(value: str) -> str:
    """Without markup: no mention, link, tag or table can be made with the characters that are left."""
    return _LINKED_BARE.sub(lambda found: " ".join(found[0]), _NOT_PLAIN.sub(" ", value))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    return table(headings, [[_plain(cell) for cell in row] for row in rows], align)


def _fold(summary: str, body: str) -> str:
    return f"<details><summary>{_plain(summary)}</summary>\n\n{body}\n\n</details>"


def _code(body: str) -> str:
    """A block that its content cannot end: its fence is longer than any in the content."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", body)), default=0))
    return f"{fence}text\n{body}\n{fence}"


def _short(output: str) -> str:
    """The end of a long text, where a preview has its summary."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output).strip()
    if len(plain) <= _LIMIT:
        return plain
    return "… (the beginning is left out)\n" + plain[-_LIMIT:]

"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

_RULES = {"l": ":--", "r": "--:"}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """A table without a newline at its end. Cells are Markdown.

    :param align: a letter for each column, `l` or `r`; without it, all columns are left-aligned.
    """
    rules = [_RULES[one] for one in align] if align else ["---"] * len(headings)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rules, *rows))

"""Markdown, also of text that a stranger wrote: `plain`, `fold` and `code` leave no markup in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RULES = {"l": ":--", "r": "--:"}
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,:;/+()$%'=<→…✅⚠\ufe0f❌_-]|<(?!\$)")  # `<$0.01` is an amount, no tag
_LINKED_BARE = re.compile(r"://|www\.|gh-(?=\d)", re.IGNORECASE)  # GitHub makes links of these without any sign


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """A table without a newline at its end. Cells are Markdown.

    :param align: a letter for each column, `l` or `r`; without it, all columns are left-aligned.
    """
    rules = [_RULES[one] for one in align] if align else ["---"] * len(headings)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rules, *rows))


def plain(value: str) -> str:
    """Without markup: no mention, link, tag or table can be made with the characters that are left."""
    return _LINKED_BARE.sub(lambda found: " ".join(found[0]), _NOT_PLAIN.sub(" ", value))


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A table whose cells are plain text."""
    return table(headings, [[plain(cell) for cell in row] for row in rows], align)


def fold(summary: str, body: str) -> str:
    """A part that is closed until its summary, plain text, is clicked. The body is Markdown."""
    return f"<details><summary>{plain(summary)}</summary>\n\n{body}\n\n</details>"


def code(body: str, language: str = "text") -> str:
    """A block that its content cannot end: its fence is longer than any in the content."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"

"""The comment of a pull request: what it says, and that nothing of a stranger's text is markup in it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cost import markdown
from cost.diff import Diff, DiffLine, Side, StackDiff
from cost.estimate import UnpricedResource
from tests.unit.cost.conftest import Make


def sample(**changes: object) -> Diff:
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


def test_it_says_the_change_the_budget_and_the_gate() -> None:
    text = markdown.comment(sample(), [])
    assert text.startswith(markdown.MARKER + "\n")
    row = "| dev | $178.50 | $208.87 | +$30.37 | $215.00 | ✅ $6.13 left of the budget of $215.00 |"
    assert row in text
    assert "Compared: main (0123456789ab) → this checkout." in text
    assert "+ hosts/app3" in text
    assert "fork" not in text


def test_over_budget_and_unpriced_have_different_words() -> None:
    over = markdown.comment(sample(budget_usd=Decimal(200), within_budget=False), [])
    assert "❌ $8.87 over the budget of $200.00" in over
    thing = UnpricedResource(component="database", resource="db", type="aws:rds/instance:Instance", reason="who knows")
    unpriced = markdown.comment(sample(unpriced=[thing], within_budget=False), [])
    assert "❌ 1 resource is not priced, so the estimate is not complete" in unpriced
    assert "NOT PRICED database/db (aws:rds/instance:Instance): who knows" in unpriced


def test_previews_are_beside_the_cost_without_colours_and_shortened() -> None:
    text = markdown.comment(sample(), [("dev", "\x1b[32m+ app3\x1b[0m"), ("prod", "x" * 100_000 + "the end")])
    assert "## Preview of dev" in text
    assert "+ app3" in text
    assert "\x1b" not in text
    assert "the end" in text
    assert len(text) < 65_536


def test_the_comment_says_that_the_run_failed() -> None:
    assert "There is no estimate" in markdown.comment(None, [])


NASTY = [
    "@everyone look",
    "<img src=x onerror=alert(1)>",
    "[click](https://example.org)",
    "| a | table |",
    "```\n# Approved\n```",
    "</details><h1>LGTM</h1>",
    "![x](y)",
    "**approved**",
    "`code`",
    "<!-- ha: pull request -->",
    "https://example.org",
    "see WWW.example.org",
    "GH-17",
]


def outside_of_code(text: str) -> str:
    """The text that GitHub reads as markup: all but what is between fences."""
    kept, fence = [], ""
    for line in text.splitlines():
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line.removesuffix("text")
        else:
            kept.append(line)
    assert not fence
    return "\n".join(kept)


@pytest.mark.parametrize("nasty", NASTY)
def test_text_from_a_stranger_is_words_alone(nasty: str) -> None:
    diff = sample(stack=nasty, region=nasty)
    unpriced = [UnpricedResource(component=nasty, resource=nasty, type=nasty, reason=nasty)]
    line = diff.stacks[0].lines[0].model_copy(update={"component": nasty, "resource": nasty})
    stack = diff.stacks[0].model_copy(update={"unpriced": unpriced, "before_unpriced": unpriced, "lines": [line]})
    text = markdown.comment(Diff(base=nasty, head=nasty, stacks=[stack]), [(nasty, nasty)])
    markup = outside_of_code(text).replace(markdown.MARKER, "", 1)
    assert nasty not in markup
    for sign in ("://", "WWW.", "GH-17", "@", "[", "]", "`", "*", "<img", "<h1", "<!--"):
        assert sign not in markup, sign
    assert markup.count("<details>") == markup.count("</details>") == 2


@given(st.text(max_size=200))
@example("```")
@example("~~~\n````\n`````")
def test_a_block_of_code_cannot_be_left(body: str) -> None:
    text = markdown.comment(sample(), [("dev", body)])
    assert outside_of_code(text).rstrip().endswith("</details>")


def test_the_report_in_markdown(report_of: Make) -> None:
    text = markdown.report(report_of("dev"))
    assert text.startswith(
        "## Cost of dev\n\n✅ dev in us-east-1: $178.50 a month, $36.50 left of its budget of $215.00"
    )
    assert "| Load Balancer | $20.00 | $7.59 | $7.59 |" in text
    assert "| Total | $215.00 | $106.29 | $178.50 |" in text
    assert "RDS Multi-AZ db.t3.small" in text

"""The report in Markdown."""

from __future__ import annotations

from cost import markdown
from tests.unit.cost.conftest import Make


def test_the_report_in_markdown(report_of: Make) -> None:
    text = markdown.report(report_of("dev"))
    assert text.startswith(
        "## Cost of dev\n\n✅ dev in us-east-1: $180.61 a month, $34.39 left of its budget of $215.00"
    )
    assert "| Load Balancer | $20.00 | $7.59 | $7.59 |" in text
    assert "| Total | $215.00 | $106.29 | $180.61 |" in text
    assert "RDS Multi-AZ db.t3.small" in text

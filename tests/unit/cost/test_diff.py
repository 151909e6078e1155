"""What a change of a stack costs, for the changes that people make; each difference worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost import diff_text
from cost.diff import StackDiff, compare
from tests.unit.cost.conftest import Make

ARM = (
    "image.name=debian-13-arm64-20260914-2601",
    "load_balancer.instance_type=t4g.micro",
    "application.instance_type=t4g.medium",
    "database.instance_type=t4g.small",
    "monitor.instance_type=t4g.small",
    "cache.instance_type=t4g.micro",
)
OREGON = ("region=us-west-2", "network.zones=[us-west-2a, us-west-2b]")
IRELAND = ("region=eu-west-1", "network.zones=[eu-west-1a, eu-west-1b]")


def change(report_of: Make, *changes: str) -> StackDiff:
    return compare(report_of("dev"), report_of("dev", *changes))


@pytest.mark.parametrize(
    ("changes", "difference", "lines"),
    [
        # 2 x 730 x (0.0832 - 0.0416)
        (("application.instance_type=t3.large",), "60.736", {"changed": 2}),
        # 730 x 0.0416 + 8 x 0.08 + 2 alarms of 0.10 + 2 GB of updates at 0.045
        (("application.count=3",), "31.298", {"added": 4, "changed": 1}),
        # 2 x 20 x 0.08, a hundredth of 20 x 0.08 for a restore's, and backups of 5 GB more: 5 x 3.5 x 0.023 = 0.4025
        (("database.volume_gib=40",), "3.6185", {"changed": 4}),
        # 730 x 0.045 and its address, 730 x 0.005; the bytes are the same
        (("network.nat_gateways=2",), "36.50", {"added": 2}),
        # 730 x 0.032, as in the golden totals, and 7.3 x 0.004
        (ARM, "-23.3892", {"changed": 8}),
        # Prices of us-west-2 are those of us-east-1; the gateway is in a zone of another name
        (OREGON, "0", {"added": 2, "removed": 2}),
        # Hosts 730 x (2 x 0.0456 + 3 x 0.0228 + 2 x 0.0114 - 0.1664) = 11.68; gateway 730 x 0.003 = 2.19 and
        # 14 GB x 0.003 = 0.042; disks 114.28 x 0.008 = 0.91424; a restore's 7.3 hours x 0.002 = 0.0146
        (IRELAND, "14.84084", None),
        (("alerts.email=a@example.org",), "0.02", {"added": 1}),  # 1000 e-mails of 2 USD a 100,000
        (("budget_monthly_usd=300",), "0", {}),
    ],
    ids=["size", "third host", "larger volume", "second NAT", "Graviton", "Oregon", "Ireland", "e-mail", "budget"],
)
def test_a_change_costs_its_difference(
    changes: tuple[str, ...], difference: str, lines: dict[str, int] | None, report_of: Make
) -> None:
    found = change(report_of, *changes)
    assert found.unpriced == []
    assert found.difference_usd == Decimal(difference)
    if lines is not None:
        counted = {kind: sum(line.change == kind for line in found.lines) for kind in ("added", "removed", "changed")}
        assert {kind: n for kind, n in counted.items() if n} == lines


def test_another_region_is_named_and_its_unconfirmed_prices_too(report_of: Make) -> None:
    found = change(report_of, *IRELAND)
    assert "region us-east-1 → eu-west-1" in diff_text.stack(found)
    assert found.low_confidence == ["cloudwatch.alarm", "s3.get", "s3.put"]


def test_the_form_of_a_changed_an_added_and_a_removed_line(report_of: Make) -> None:
    text = diff_text.stack(change(report_of, "application.count=3", "database.volume_gib=40"))
    assert text.startswith(
        "dev rises by $34.92 a month (+19%), from $180.61 to $215.53; $0.53 over the budget of $215.00"
    )
    assert "+ hosts/app3 " in text
    assert "    + instance t3.medium " in text
    assert "    ~ data volume gp3, 20 → 40 GB-months (db1-data) " in text
    back = diff_text.stack(compare(report_of("dev", "application.count=3"), report_of("dev")))
    assert "- hosts/app3 " in back
    assert "    - instance t3.medium " in back
    assert "-$31.21" in back


def test_a_new_stack_is_all_added(report_of: Make) -> None:
    after = report_of("dev")
    found = compare(None, after)
    assert {line.change for line in found.lines} == {"added"}
    assert found.difference_usd == after.monthly_usd
    assert diff_text.sentence(found).startswith("dev is new: $180.61 a month")


def test_over_budget_says_by_how_much(report_of: Make) -> None:
    found = change(report_of, "application.count=4")
    assert not found.within_budget
    assert diff_text.budget(found) == "$28.21 over the budget of $215.00"  # 180.61164 + 2 x 31.298 - 215

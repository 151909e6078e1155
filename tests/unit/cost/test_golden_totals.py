"""The totals of both stacks, worked out by hand.

Each row is a price of AWS's price list (us-east-1, list price of the date in cost/prices/us-east-1.json) times how
many of it the stack has in a month of 730 hours. When the program or a price changes, work the row out again.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost import text
from tests.unit.cost.conftest import Make

# What, price key, how many, quantity of each, USD of one unit, USD a month (= how many x quantity x USD of one).
Row = tuple[str, str, str, str, str, str]

SAME_IN_BOTH: list[Row] = [
    ("application hosts app1, app2", "ec2.t3.medium.hour", "2", "730", "0.0416", "60.736"),
    ("db1, db2, monitor1, and 7.3 hours of a restore", "ec2.t3.small.hour", "1", "2197.3", "0.0208", "45.70384"),
    ("NAT gateway", "nat-gateway.hour", "1", "730", "0.045", "32.85"),
    ("what visitors get", "transfer.internet.gb", "1", "50", "0.09", "4.50"),
    ("96 GB between zones, billed on both sides", "transfer.cross-zone.gb", "2", "96", "0.01", "1.92"),
    ("a thousand messages", "sns.requests", "1", "0.001", "0.50", "0.0005"),
]

# Root volumes have 8 GB each: dev's 7 have 56 GB, prod's 9 have 72 GB.
# A host that restores has the volumes of a database's, and is there for a hundredth of a month, 7.3 hours.
# Data: dev 20 + 20 + 10 + 8 = 58, prod 40 + 40 + 20 + 10 + 10 = 120.
# A quarter of a database's volume is used: dev 5 GB, prod 10 GB. Backups: 13 GB of log and 3.5 times what is used, dev
# 13 + 17.5 = 30.5 GB, prod 13 + 35 = 48 GB, and as much in the second region; 9 + 2.4 x 10 = 33 GB a month go there.
OWN: dict[str, list[Row]] = {
    "dev": [
        ("load balancer and cache hosts lb1, cache1", "ec2.t3.micro.hour", "2", "730", "0.0104", "15.184"),
        ("56 + 58 GB, a hundredth of 28 GB", "ebs.gp3.gb", "1", "114.28", "0.08", "9.1424"),
        ("2 GB of updates for each of 7 hosts", "nat-gateway.gb", "7", "2", "0.045", "0.63"),
        ("Elastic IPs of the NAT gateway and of lb1", "public-ipv4.hour", "2", "730", "0.005", "7.30"),
        ("status and CPU credit alarms of 7 hosts", "cloudwatch.alarm", "14", "1", "0.10", "1.40"),
        ("1 GB of releases, 30.5 GB of backups", "s3.standard.gb", "1", "31.5", "0.023", "0.7245"),
        ("uploads and lists, 1 + 95 thousand", "s3.put", "1", "96", "0.005", "0.48"),
        ("fetches, 1 + 100 thousand", "s3.get", "1", "101", "0.0004", "0.0404"),
    ],
    "prod": [
        ("load balancer and cache hosts, two of each", "ec2.t3.micro.hour", "4", "730", "0.0104", "30.368"),
        ("72 + 120 GB, a hundredth of 48 GB", "ebs.gp3.gb", "1", "192.48", "0.08", "15.3984"),
        ("2 GB of updates for each of 9 hosts", "nat-gateway.gb", "9", "2", "0.045", "0.81"),
        ("Elastic IPs: NAT, the public one, lb1's and lb2's own", "public-ipv4.hour", "4", "730", "0.005", "14.60"),
        ("status and CPU credit alarms of 9 hosts, one of the copy", "cloudwatch.alarm", "19", "1", "0.10", "1.90"),
        ("metrics of the replication to the second region", "cloudwatch.metric", "4", "1", "0.30", "1.20"),
        ("1 GB of releases, twice 48 GB of backups", "s3.standard.gb", "1", "97", "0.023", "2.231"),
        ("uploads and lists, 1 + 95 + 100 thousand", "s3.put", "1", "196", "0.005", "0.98"),
        ("fetches, 1 + 100 + 50 thousand", "s3.get", "1", "151", "0.0004", "0.0604"),
        ("backups and log to the second region", "transfer.inter-region.gb", "1", "33", "0.02", "0.66"),
    ],
}

# The same in both: hosts 60.736 + 45.70384 = 106.43984, NAT gateway 32.85, transfer 4.50 + 1.92 = 6.42, messages
# 0.0005: together 145.71034.
# dev's own: 15.184 + 9.1424 + 0.63 + 7.30 + 1.40 = 33.6564, objects 0.7245 + 0.48 + 0.0404 = 1.2449;
# prod's own: 30.368 + 15.3984 + 0.81 + 14.60 + 1.90 = 63.0764, objects 2.231 + 0.98 + 0.0604 = 3.2714, copies 0.66 and
# their metrics 1.20.
TOTALS = {"dev": "180.61164", "prod": "213.91814"}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_line_and_the_total_are_those_worked_out_by_hand(stack: str, report_of: Make) -> None:
    found = report_of(stack)
    rows = [*SAME_IN_BOTH, *OWN[stack]]
    for what, key, count, quantity, price, usd in rows:
        assert Decimal(count) * Decimal(quantity) * Decimal(price) == Decimal(usd), what
        lines = [line for line in found.lines if line.price_key == key]
        assert sum(line.quantity for line in lines) == Decimal(count) * Decimal(quantity), what
        assert sum(line.monthly_usd for line in lines) == Decimal(usd), what
    assert {line.price_key for line in found.lines} == {row[1] for row in rows}
    assert found.monthly_usd == sum(Decimal(row[5]) for row in rows) == Decimal(TOTALS[stack])
    assert found.unpriced == []


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_it_is_within_the_guides_budget(stack: str, report_of: Make) -> None:
    found = report_of(stack)
    assert found.budget_usd == 215
    assert found.within_budget
    assert found.left_usd == 215 - found.monthly_usd > 0


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_guides_table_ours_and_the_groups_have_the_same_total(stack: str, report_of: Make) -> None:
    found = report_of(stack)
    assert sum(row.ours_usd for row in found.guide) == found.monthly_usd
    assert sum(group.monthly_usd for group in found.groups) == found.monthly_usd
    assert sum(line.monthly_usd for line in found.lines) == found.monthly_usd
    assert sum(row.guide_usd for row in found.guide if row.guide_usd is not None) == found.guide_total_usd == 215


def test_the_guides_table_at_list_price(report_of: Make) -> None:
    """20 + 120 + 60 + 15: what the guide's words cost, and how many its money buys."""
    rows = {row.component: row for row in report_of("dev").guide}
    listed = {
        "Load Balancer": "7.592",  # 730 x 0.0104
        "2x App Servers (t3.medium)": "60.736",  # 2 x 730 x 0.0416
        "2x DB Servers (t3.small)": "30.368",  # 2 x 730 x 0.0208
        "Redis (t3.micro)": "7.592",  # 730 x 0.0104
    }
    assert {c: r.list_usd for c, r in rows.items() if r.guide_usd is not None} == {
        c: Decimal(usd) for c, usd in listed.items()
    }
    assert "$20 buys 2.63 t3.micro" in rows["Load Balancer"].why  # 20 / 7.592
    for component in ("2x App Servers (t3.medium)", "2x DB Servers (t3.small)", "Redis (t3.micro)"):
        assert "1.98 times the list price" in rows[component].why  # 120/60.736, 60/30.368, 15/7.592
    assert all(row.why for row in rows.values())


def test_managed_services_and_savings_options_of_dev(report_of: Make) -> None:
    found = report_of("dev")
    # Kept: 2 t3.medium 60.736, their root disks 1.28 and 4 alarms 0.40, NAT 33.48 and its address 3.65, transfer 6.42,
    # messages 0.0005, releases 0.0284 = 105.9949, and no backups
    assert found.managed.kept_usd == Decimal("105.9949")
    # ALB 730 x 0.0225 = 16.425 and 73 LCU x 0.008 = 0.584, two addresses 7.30, RDS 730 x 0.072 = 52.56 and
    # 20 x 0.23 = 4.60, ElastiCache 730 x 0.017 = 12.41: 93.879
    assert sum(part.monthly_usd for part in found.managed.parts) == Decimal("93.879")
    assert found.managed.monthly_usd == Decimal("199.8739")
    saves = {saving.name: saving.saves_usd for saving in found.savings}
    # 730 x (2 x (0.0416 - 0.0336) + 3 x (0.0208 - 0.0168) + 2 x (0.0104 - 0.0084)) = 730 x 0.032
    assert saves["Graviton instances"] == Decimal("23.36")
    # 730 x (2 x (0.0416 - 0.0261) + 3 x (0.0208 - 0.0131) + 2 x (0.0104 - 0.0065)) = 730 x 0.0619
    assert saves["one-year commitment"] == Decimal("45.187")
    # The reservations of t3.small and t3.micro are derived from t3.medium's, which the report says beside the number.
    unsure = {saving.name: saving.low_confidence for saving in found.savings if saving.low_confidence}
    assert unsure == {"one-year commitment": ["ec2.t3.micro.reserved-1yr.hour", "ec2.t3.small.reserved-1yr.hour"]}
    assert "$135.42 (unconfirmed)" in text.savings_table(found)
    # 33.48 and the gateway's address 3.65, less an address for each of 6 private hosts: 37.13 - 21.90
    assert saves["no NAT gateway"] == Decimal("15.23")

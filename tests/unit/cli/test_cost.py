"""`ha cost` as a user meets it: outputs, exit codes, messages."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from cli.main import main
from cli.options import STACKS_DIR as USERS_STACKS_DIR
from cost import resource_types, stacks
from spec.errors import HaError
from tests.stacks import STACKS
from tests.unit.cli.conftest import Ha
from tests.unit.cost.kept_runs import declared_by


@pytest.fixture(autouse=True)
def tests_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.options.STACKS_DIR", STACKS)
    monkeypatch.setattr(stacks, "declared_by", declared_by)


def test_json_is_one_document_with_exact_sums(ha: Ha) -> None:
    ran = ha("cost", "--stack", "dev", "--json")
    assert ran.code == 0
    document = json.loads(ran.out, parse_float=Decimal)
    assert {
        "stack",
        "region",
        "monthly_usd",
        "budget_usd",
        "within_budget",
        "lines",
        "free",
        "unpriced",
        "guide",
    } <= set(document)
    line_fields = {
        "component",
        "resource",
        "item",
        "quantity",
        "unit",
        "unit_price_usd",
        "monthly_usd",
        "source",
        "as_of",
    }
    assert all(line_fields <= set(line) for line in document["lines"])
    assert all({"component", "guide_usd", "ours_usd", "why"} <= set(row) for row in document["guide"])
    assert sum(line["monthly_usd"] for line in document["lines"]) == document["monthly_usd"] == Decimal("180.61164")
    assert document["unpriced"] == []


def test_text_markdown_and_html(ha: Ha, tmp_path: Path) -> None:
    text = ha("cost")
    assert "TOTAL" in text.out
    assert "dev in us-east-1: $180.61 a month, $34.39 left of its budget of $215.00" in text.out
    markdown = ha("cost", "--markdown")
    assert markdown.out.startswith("## Cost of dev\n")
    page = tmp_path / "cost.html"
    html = ha("cost", "--html", str(page))
    assert html.code == 0
    content = page.read_text()
    assert "<svg" in content
    assert "$180.61" in content
    assert not any(word in content for word in ("<script", "src=", "<link", "@import", "url("))


def test_over_budget_is_exit_3_and_so_is_unpriced_with_another_message(ha: Ha, monkeypatch: pytest.MonkeyPatch) -> None:
    over = ha("cost", "--set", "application.count=4")
    assert over.code == 3
    assert "stack dev costs $243.21 a month, $28.21 over its budget of $215.00" in over.err
    assert "TOTAL" in over.out  # the report is there all the same
    without = {k: v for k, v in resource_types.PAID.items() if k != resource_types.NAT_GATEWAY}
    monkeypatch.setattr("cost.estimate.PAID", without)
    unpriced = ha("cost")
    assert unpriced.code == 3
    assert "could not be priced" in unpriced.err
    assert "aws:ec2/natGateway:NatGateway" in unpriced.err
    assert "network-nat-us-east-1a" in unpriced.err
    assert "over its budget" not in unpriced.err


def test_a_deleted_price_row_is_exit_3_and_its_name(ha: Ha, prices_dir: Path) -> None:
    path = prices_dir / "us-east-1.json"
    rows = [row for row in json.loads(path.read_text()) if row["key"] != "nat-gateway.hour"]
    path.write_text(json.dumps(rows))
    ran = ha("cost", "--prices", str(prices_dir))
    assert ran.code == 3
    assert "no price nat-gateway.hour in region us-east-1" in ran.err


def test_a_region_without_prices_is_exit_3_and_its_name(ha: Ha) -> None:
    ran = ha("cost", "--set", "region=eu-south-1", "--set", "network.zones=[eu-south-1a, eu-south-1b]")
    assert ran.code == 3
    assert "no prices for region eu-south-1" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stack", "nope"), "there is no stack 'nope'"),
        (("--set", "application.count=one"), "application.count"),
        (("--set", "application.size=3"), "an unknown setting"),
        (("--set", "nonsense"), "it is not of the form name=value"),
        (("--set", "alerts.email.host=x"), "email"),
        (("--stack", "dev", "--stack", "prod"), "--stack is given 2 times (dev, prod)"),
        (("--json", "--markdown"), "--json and --markdown are mutually exclusive"),
        (("--preview", "/nowhere.json"), "the preview cannot be used"),
        (("diff", "--base", "nonsense"), "unknown git revision 'nonsense'"),
        (("diff", "--base", "--help"), "unknown git revision '--help'"),
        (("diff",), "there is nothing to compare with"),
        (("--stack", "prod", "diff", "--set", "application.count=3"), "--stack before diff has no effect"),
        (("--json", "diff"), "--json before diff has no effect"),
    ],
)
def test_bad_input_is_exit_2_with_one_message_and_nothing_written(
    arguments: tuple[str, ...], said: str, ha: Ha, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    html = () if "diff" in arguments else ("--html", str(page))
    ran = ha("cost", *html, *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""
    assert not page.exists()
    assert "Traceback" not in ran.err


def test_a_page_that_cannot_be_written_is_exit_2(ha: Ha, tmp_path: Path) -> None:
    ran = ha("cost", "--html", str(tmp_path / "no" / "page.html"))
    assert ran.code == 2
    assert "the page cannot be written" in ran.err


def test_a_duplicate_price_row_is_exit_2(ha: Ha, prices_dir: Path) -> None:
    path = prices_dir / "us-east-1.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([*rows, rows[0]]))
    ran = ha("cost", "--prices", str(prices_dir))
    assert ran.code == 2
    assert "duplicate key alb.hour" in ran.err


def test_diff_of_settings_in_all_forms(ha: Ha) -> None:
    document = json.loads(ha("cost", "diff", "--set", "network.nat_gateways=2", "--json").out, parse_float=Decimal)
    assert [s["difference_usd"] for s in document["stacks"]] == [Decimal("36.5")]
    ran = ha("cost", "diff", "--stack", "dev", "--stack", "prod", "--set", "application.count=3")
    assert ran.out.count("rises by $31.30 a month") == 2
    # 180.61164 + 31.298 = 211.7354 is within 215, 213.7279 + 31.298 = 245.0259 is not: the message says which stack.
    assert ran.code == 3
    assert "stack prod costs $245.22 a month, $30.22 over its budget of $215.00" in ran.err
    assert "stack dev costs" not in ran.err


def test_a_stack_named_twice_is_compared_once(ha: Ha) -> None:
    ran = ha("cost", "diff", "--stack", "dev", "--stack", "dev", "--set", "budget_monthly_usd=300")
    assert ran.out.count("dev stays at $180.61 a month") == 1


def test_a_hundredth_of_a_cent_over_is_over(ha: Ha) -> None:
    """dev costs 180.61164."""
    ran = ha("cost", "--set", "budget_monthly_usd=180.6115")
    assert ran.code == 3
    assert "<$0.01 over its budget of $180.61" in ran.err


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ha", "--debug", "cost", "--stack", "nope"])
    with pytest.raises(HaError):
        main()


@pytest.mark.parametrize("stack", [path.name.split(".")[1] for path in sorted(USERS_STACKS_DIR.glob("Pulumi.*.yaml"))])
def test_each_stack_of_the_user_is_priced_in_full_and_held_against_its_own_budget(
    stack: str, ha: Ha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.options.STACKS_DIR", USERS_STACKS_DIR)
    ran = ha("cost", "--stack", stack, "--json")
    document = json.loads(ran.out)
    assert document["unpriced"] == []
    assert document["within_budget"] is (document["monthly_usd"] <= document["budget_usd"])
    assert ran.code == (0 if document["within_budget"] else 3)

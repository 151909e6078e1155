"""`ha prices`: the list prices behind the estimate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spec.errors import EXIT_FAILED

app = typer.Typer(help="The list prices behind the estimate.", no_args_is_help=True, rich_markup_mode=None)

PricesDir = Annotated[
    Path | None, typer.Option("--prices", help="Another folder of price files.", exists=True, file_okay=False)
]


@app.command("check")
def check(prices_dir: PricesDir = None) -> None:
    """List rows older than 90 days, unused ones (exit code 1 for either), and those that no second source confirms."""
    from datetime import UTC, datetime

    from cost import price_check, prices

    findings = price_check.check(prices_dir or prices.PRICES_DIR, datetime.now(UTC).date())
    sys.stdout.write(f"{price_check.text(findings)}\n")
    if findings.stale or findings.unused:
        raise typer.Exit(EXIT_FAILED)


@app.command("refresh")
def refresh_command(
    region: Annotated[list[str] | None, typer.Option(help="A region; may be repeated. Default: all there are.")] = None,
    api_region: Annotated[str, typer.Option(help="The region whose Price List API is called.")] = "us-east-1",
    prices_dir: PricesDir = None,
) -> None:
    """Fetch every price again from AWS's Price List API. Needs credentials that may call pricing:GetProducts."""
    from cost import prices, refresh

    folder = prices_dir or prices.PRICES_DIR
    client = refresh.client(api_region)
    changed = refresh.refresh(client, region or prices.regions(folder), folder)
    sys.stdout.write(f"{refresh.text(changed)}\n")

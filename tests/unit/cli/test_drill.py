"""What `ha drill` refuses before it touches anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.main import app
from spec.errors import EXIT_USAGE, HaError


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--lab", "drill", "run", "no-such"], "no such drill: 'no-such'"),
        (["drill", "run", "db-kill"], "would harm the stack 'dev' on AWS"),
        (["drill", "run", "db-kill", "--confirm", "prod"], "and --confirm names 'prod'"),
        (["drill", "report", "--results", "/no/such"], "there is no folder /no/such"),
        (["drill", "report", "--html", "/no/such/page.html"], "there is no folder /no/such"),
        (["--lab", "drill", "run", "lb-stop", "--stack", "dev"], "needs two load balancer hosts"),
        (["drill", "peers"], "only the lab's hosts"),
        (["--lab", "drill", "peers", "--fault", "no-such"], "no such fault of the primary: 'no-such'"),
        (
            ["--lab", "drill", "peers", "--fault", "standby-power-loss"],
            "no such fault of the primary: 'standby-power-loss'",
        ),
        (["--lab", "drill", "peers", "--contender", "no-such"], "no such contender: 'no-such'"),
    ],
)
def test_refusals(arguments: list[str], why: str) -> None:
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, HaError)
    assert why in refused.what
    assert refused.exit_code == EXIT_USAGE

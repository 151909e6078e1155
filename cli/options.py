"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_STACK = "dev"


def _running(context: typer.Context, stack: str) -> str:
    """The given stack, or the default: with --lab the one that the lab runs. :raises HaError: when the lab fails."""
    if stack or not context.obj.lab:
        return stack or DEFAULT_STACK
    from lab.lab import Lab  # imported late: operations on AWS do not need it

    lab = Lab()
    return str(lab.status()["stack"]) if lab.running() else DEFAULT_STACK


Stack = Annotated[str, typer.Option(help="The stack, as in Pulumi.<stack>.yaml.")]
EstateStack = Annotated[
    str,
    typer.Option(
        "--stack",
        callback=_running,
        show_default="dev, or with --lab the one that the lab runs",
        help="The stack, as in Pulumi.<stack>.yaml.",
    ),
]
"""For commands on a running estate. Its default is an empty string."""
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_STACK = "dev"


def _running(context: typer.Context, stack: str) -> str:
    """The stack that is meant: a lab has one only. :raises HaError: when the lab cannot say."""
    if stack or not context.obj.lab:
        return stack or DEFAULT_STACK
    from lab.lab import Lab  # no part of what operations need on AWS

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
"""Of commands that work on an estate that runs; the default is an empty string."""
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

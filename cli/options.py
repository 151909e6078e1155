"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from spec.project import REPOSITORY
from spec.settings import Settings
from spec.stack_file import load_settings

DEFAULT_STACK = "dev"


STACKS_DIR = REPOSITORY
"""Where the stack files are."""


def settings_of(stack: str) -> Settings:
    """The settings of the stack that a command names. :raises HaError: with exit code 2, saying all that is wrong."""
    return load_settings(STACKS_DIR, stack)


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

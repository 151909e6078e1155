"""`ha diff`: what a change does, and the comment of a pull request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spec.errors import EXIT_USAGE, HaError

app = typer.Typer(help="What a change will do.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def comment(
    changes_file: Annotated[
        Path | None, typer.Option("--changes", metavar="FILE", help="What `ha diff --json` printed.")
    ] = None,
    cost_file: Annotated[
        Path | None, typer.Option("--cost", metavar="FILE", help="What `ha cost diff --json` printed.")
    ] = None,
    preview: Annotated[
        list[str] | None,
        typer.Option(metavar="STACK=FILE", help="What `pulumi preview --json` printed; may be repeated."),
    ] = None,
    fork: Annotated[bool, typer.Option("--fork", help="The documents were made by a fork's code.")] = False,
    approved: Annotated[
        bool, typer.Option("--approved", help="A person agrees with changes to budgets, prices or the estimator.")
    ] = False,
    summary_file: Annotated[
        Path | None, typer.Option("--summary", metavar="FILE", help="Append the whole, up to 1 MB, to a file.")
    ] = None,
    summary_url: Annotated[str, typer.Option(metavar="URL", help="Where the summary is shown.")] = "",
) -> None:
    """The comment of a pull request, in Markdown. Runs nothing of the change itself.

    A document that is not given, or cannot be read, is said in the comment.
    """
    from review.comment import comment as rendered
    from review.inputs import read_changes, read_cost, read_previews

    made = rendered(
        changes=read_changes(changes_file),
        cost=read_cost(cost_file),
        previews=read_previews(map(_stack_and_file, preview or ())),
        fork=fork,
        approved=approved,
        summary_url=summary_url,
    )
    if summary_file:
        with summary_file.open("a", encoding="utf-8") as file:
            file.write(made.summary)
    sys.stdout.write(made.text)


def _stack_and_file(given: str) -> tuple[str, Path]:
    stack, equals, name = given.partition("=")
    if not equals or not stack or not name:
        raise HaError(
            f"--preview {given[:80]}: it is not of the form STACK=FILE",
            where="ha diff comment",
            fix="for example: --preview dev=preview.json",
            exit_code=EXIT_USAGE,
        )
    return stack, Path(name)

"""`ha diff`: what a change will do to files and hosts, before it is made, and the comment of a pull request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import Json
from spec.errors import EXIT_USAGE, HaError

app = typer.Typer(
    help="What this checkout changes on hosts, against another revision. Needs no account and no engine.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def difference(
    context: typer.Context,
    base: Annotated[
        str, typer.Option(metavar="REV", help="The revision to compare with: a commit, branch or tag.")
    ] = "HEAD",
    stack: Annotated[list[str] | None, typer.Option(help="A stack; may be repeated. Default: all.")] = None,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Markdown on standard output.")] = False,
) -> None:
    """Which files change, what each host does, in which order, and how long writes may wait."""
    if context.invoked_subcommand is not None:
        return
    if as_json and as_markdown:
        raise HaError(
            "--json and --markdown are mutually exclusive",
            where="ha diff",
            fix="give one of them",
            exit_code=EXIT_USAGE,
        )
    from review.changes import changes_of

    found = changes_of(base, stack or (), stacks_dir=options.STACKS_DIR)
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    elif as_markdown:
        from review.comment import changes_alone

        sys.stdout.write(changes_alone(found))
    else:
        from review import text

        sys.stdout.write(text.changes(found) + "\n")
    if found.unreadable:
        raise typer.Exit(EXIT_USAGE)


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
    edited: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A file of the estimate that the change edits, whatever its documents say."),
    ] = None,
    unlisted: Annotated[
        bool, typer.Option("--unlisted", help="Which previews there should be is not known: a failure.")
    ] = False,
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
        edited=edited,
        unlisted=unlisted,
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

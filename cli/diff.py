"""`ha diff`: what a change will do to files and hosts, before it is made."""

from __future__ import annotations

import sys
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
    from review import changes, text

    found = changes.changes_of(base, stack or (), stacks_dir=options.STACKS_DIR)
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        sys.stdout.write(text.changes(found) + "\n")
    if found.unreadable:
        raise typer.Exit(EXIT_USAGE)

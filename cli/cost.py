"""`ha cost`: what a stack costs, what a change costs, and the comment of a pull request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import DEFAULT_STACK, Json
from cli.prices import PricesDir
from spec.errors import EXIT_USAGE, HaError
from spec.stack_file import found_stacks

# The estimator is imported by the command that needs it: it loads Pulumi, which other commands do not.

app = typer.Typer(
    help="What a stack costs a month. Exit code 3 when it is over its budget, or something is not priced.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


Markdown = Annotated[bool, typer.Option("--markdown", help="Markdown on standard output.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="As if this setting were so, such as application.count=3."),
]


@app.callback()
def report(
    context: typer.Context,
    stack: Annotated[list[str] | None, typer.Option(help="The stack, as in Pulumi.<stack>.yaml. Default: dev.")] = None,
    as_json: Json = False,
    as_markdown: Markdown = False,
    html_file: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page.")] = None,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="FILE", help="Estimate from `pulumi preview --json --show-sames`."),
    ] = None,
    changes: Changes = None,
    prices_dir: PricesDir = None,
) -> None:
    """What a stack costs a month. Exit code 3 when it is over its budget, or something is not priced."""
    if context.invoked_subcommand is not None:
        _refuse_options_before(context)
        return
    if stack and len(stack) > 1:
        raise HaError(
            f"--stack is given {len(stack)} times ({', '.join(stack)}); `ha cost` prices one stack",
            where="ha cost",
            fix="run it once for each stack; `ha cost diff` takes several",
            exit_code=EXIT_USAGE,
        )
    if as_json and as_markdown:
        raise _exclusive("--json", "--markdown")
    if preview and changes:
        raise _exclusive("--preview", "--set")
    name = stack[0] if stack else DEFAULT_STACK
    from cost.garbage_collection import collection_paused

    with collection_paused():
        _report(name, as_json, as_markdown, html_file, preview, changes or [], prices_dir)


def _report(
    stack: str,
    as_json: bool,
    as_markdown: bool,
    html_file: Path | None,
    preview: Path | None,
    changes: list[str],
    prices_dir: Path | None,
) -> None:
    from cost import html, markdown, prices, stacks, text

    found = stacks.report_of(
        stack, changes, preview=preview, stacks_dir=options.STACKS_DIR, prices_dir=prices_dir or prices.PRICES_DIR
    )
    if html_file:
        _write(html_file, html.report(found))
    if as_json:
        _print(found.model_dump_json(indent=2))
    elif as_markdown:
        _print(markdown.report(found))
    else:
        _print(text.report(found))
    stacks.enforce_budgets([found])


@app.command("diff")
def difference(
    stack: Annotated[
        list[str] | None, typer.Option(help="A stack; may be repeated. Default: all, or dev without --base.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="The revision to compare with: a commit, branch or tag.")
    ] = None,
    changes: Changes = None,
    as_json: Json = False,
    as_markdown: Markdown = False,
    prices_dir: PricesDir = None,
    approved: Annotated[
        bool, typer.Option("--approved", help="A person agrees with changes to budgets, prices or the estimator.")
    ] = False,
) -> None:
    """What a change costs: this checkout against another revision, or against itself with settings changed by --set.

    Both sides are priced with this checkout's prices, each with the usage assumptions of its own revision; and again
    with the prices, types and usage of the other revision. Exit code 3 also when a budget is raised, or how costs are
    estimated changes, without --approved.
    """
    if as_json and as_markdown:
        raise _exclusive("--json", "--markdown")
    if base is None and not changes:
        raise HaError(
            "there is nothing to compare with",
            where="ha cost diff",
            fix="give --base REV, --set NAME=VALUE, or both",
            exit_code=EXIT_USAGE,
        )
    from cost import diff_text, prices, stack_diff, stacks
    from review.comment import cost_alone

    found, reports = stack_diff.diff_of(
        list(dict.fromkeys(stack or (found_stacks(options.STACKS_DIR) if base else [DEFAULT_STACK]))),
        base,
        changes or (),
        stacks_dir=options.STACKS_DIR,
        prices_dir=prices_dir or prices.PRICES_DIR,
    )
    if as_json:
        _print(found.model_dump_json(indent=2))
    elif as_markdown:
        _print(cost_alone(found, approved=approved))
    else:
        _print(diff_text.diff(found))
    stacks.enforce_budgets(reports)
    if not approved:
        stacks.enforce_approval(found)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise HaError(
            f"the page cannot be written: {error.strerror}",
            where=str(path),
            fix="name a file in a folder that exists",
            exit_code=EXIT_USAGE,
        ) from None
    sys.stderr.write(f"wrote {path}\n")


def _print(content: str) -> None:
    sys.stdout.write(content if content.endswith("\n") else content + "\n")


def _refuse_options_before(context: typer.Context) -> None:
    """`ha cost --stack prod diff …` would compare dev: a command takes its options after its name."""
    given = [
        max(option.opts, key=len)
        for option in context.command.params
        if option.name and getattr(context.get_parameter_source(option.name), "name", "") == "COMMANDLINE"
    ]
    if given:
        command = context.invoked_subcommand
        raise HaError(
            f"{', '.join(given)} before {command} has no effect",
            where=f"ha cost {command}",
            fix=f"put it after: ha cost {command} {given[0]} …",
            exit_code=EXIT_USAGE,
        )


def _exclusive(one: str, other: str) -> HaError:
    return HaError(
        f"{one} and {other} are mutually exclusive", where="ha cost", fix="give one of them", exit_code=EXIT_USAGE
    )

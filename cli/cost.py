"""`ha cost` and `ha prices`: what a stack costs, what a change costs, and the prices behind it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import DEFAULT_STACK, Json, Stack
from spec.errors import EXIT_FAILED, EXIT_USAGE, HaError

# The estimator is imported by the command that needs it: it loads Pulumi, which other commands do not.

app = typer.Typer(
    help="What a stack costs a month. Exit code 3 when it is over its budget, or something is not priced.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
prices = typer.Typer(help="The list prices behind the estimate.", no_args_is_help=True, rich_markup_mode=None)

Markdown = Annotated[bool, typer.Option("--markdown", help="Markdown on standard output.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="As if this setting were so, such as application.count=3."),
]
PricesDir = Annotated[
    Path | None, typer.Option("--prices", help="Another folder of price files.", exists=True, file_okay=False)
]


@app.callback()
def report(
    context: typer.Context,
    stack: Stack = DEFAULT_STACK,
    json: Json = False,
    markdown: Markdown = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page.")] = None,
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
    if json and markdown:
        raise _exclusive("--json", "--markdown")
    if preview and changes:
        raise _exclusive("--preview", "--set")
    from cost.collector import collector_off

    with collector_off():
        _report(stack, json, markdown, html, preview, changes or [], prices_dir)


def _report(
    stack: str,
    json: bool,
    markdown: bool,
    html: Path | None,
    preview: Path | None,
    changes: list[str],
    prices_dir: Path | None,
) -> None:
    from cost import stack as stacks
    from cost.prices import PRICES_DIR

    config = stacks.config_of(stack, changes)
    settings = stacks.settings_of(stack, config)
    if preview:
        from cost.preview import declared_in

        declared = declared_in(preview, stack)
    else:
        declared = stacks.declared_by(stack, config, settings)
    found = stacks.report_of(
        stack,
        declared,
        region=settings.region,
        budget_usd=settings.budget_monthly_usd,
        prices_dir=prices_dir or PRICES_DIR,
    )
    if html:
        from cost import html as pages

        _write(html, pages.report(found))
    if json:
        _say(found.model_dump_json(indent=2))
    elif markdown:
        from cost import markdown as pages_in_markdown

        _say(pages_in_markdown.report(found))
    else:
        from cost import text

        _say(text.report(found))
    stacks.refuse_if_broken([found])


@app.command("diff")
def difference(
    stack: Annotated[list[str] | None, typer.Option(help="A stack; may be repeated. Default: dev.")] = None,
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="The revision to compare with: a commit, branch or tag.")
    ] = None,
    changes: Changes = None,
    json: Json = False,
    markdown: Markdown = False,
    prices_dir: PricesDir = None,
) -> None:
    """What a change costs: this checkout against another revision, or against itself with settings changed by --set.

    Both sides are priced with this checkout's prices; each with the usage assumptions of its own revision.
    """
    if json and markdown:
        raise _exclusive("--json", "--markdown")
    if base is None and not changes:
        raise HaError(
            "there is nothing to compare with",
            where="ha cost diff",
            fix="give --base REV, --set NAME=VALUE, or both",
            exit_code=EXIT_USAGE,
        )
    from cost import change
    from cost import stack as stacks
    from cost.prices import PRICES_DIR

    found, reports = change.of_stacks(
        list(dict.fromkeys(stack or [DEFAULT_STACK])), base, changes or (), prices_dir or PRICES_DIR
    )
    if json:
        _say(found.model_dump_json(indent=2))
    elif markdown:
        from cost import markdown as pages_in_markdown

        _say(pages_in_markdown.comment(found, []))
    else:
        from cost import diff_text

        _say(diff_text.diff(found))
    stacks.refuse_if_broken(reports)


@app.command()
def comment(
    cost_file: Annotated[
        Path | None, typer.Option("--cost", metavar="FILE", help="What `ha cost diff --json` printed.")
    ] = None,
    preview: Annotated[
        list[str] | None, typer.Option(metavar="STACK=FILE", help="The engine's output of a preview; may be repeated.")
    ] = None,
    fork: Annotated[bool, typer.Option("--fork", help="The estimate was made by a fork's code.")] = False,
) -> None:
    """The comment of a pull request, in Markdown: the cost diff and the previews. Runs nothing of the change itself."""
    from cost import markdown as pages_in_markdown
    from cost.documents import read_diff, read_preview

    diff = read_diff(cost_file) if cost_file and cost_file.exists() else None
    _say(pages_in_markdown.comment(diff, [read_preview(p) for p in preview or ()], fork=fork))


@prices.command()
def check(prices_dir: PricesDir = None) -> None:
    """Rows older than 90 days, unused ones (exit code 1 for either), and those that no second source confirms."""
    from datetime import UTC, datetime

    from cost import price_check

    findings = price_check.check(prices_dir or price_check.PRICES_DIR, datetime.now(UTC).date())
    _say(price_check.text(findings))
    if findings.stale or findings.unused:
        raise typer.Exit(EXIT_FAILED)


@prices.command()
def refresh(
    region: Annotated[list[str] | None, typer.Option(help="A region; may be repeated. Default: all there are.")] = None,
    api_region: Annotated[str, typer.Option(help="Where AWS's Price List API is asked.")] = "us-east-1",
    prices_dir: PricesDir = None,
) -> None:
    """Takes every price anew from AWS's Price List API. Needs credentials that may call pricing:GetProducts."""
    from cost import refresh as refreshing

    folder = prices_dir or refreshing.PRICES_DIR
    client = refreshing.client(api_region)
    _say(refreshing.text(refreshing.refresh(client, region or refreshing.regions(folder), folder)))


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


def _say(content: str) -> None:
    sys.stdout.write(content if content.endswith("\n") else content + "\n")


def _refuse_options_before(context: typer.Context) -> None:
    """`ha cost --stack prod diff …` would compare dev: a command takes its options behind its name."""
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
            fix=f"put it behind: ha cost {command} {given[0]} …",
            exit_code=EXIT_USAGE,
        )


def _exclusive(one: str, other: str) -> HaError:
    return HaError(
        f"{one} and {other} cannot be had together", where="ha cost", fix="give one of them", exit_code=EXIT_USAGE
    )

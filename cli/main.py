"""`ha`: operations on the estate, on AWS or, with --lab, on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import console, cost, db, diff, drill, lab, peers, prices, unlock
from cli.options import EstateStack, Json, settings_of
from spec.errors import EXIT_FAILED, EXIT_INTERRUPTED, HaError


class _Interruptible(TyperGroup):
    """Reports Ctrl-C like any other error; Typer would print an empty line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise HaError("interrupted", exit_code=EXIT_INTERRUPTED) from None


app = typer.Typer(
    cls=_Interruptible,
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(lab.app, name="lab")
app.add_typer(db.app, name="db")
drill.app.command(name="peers")(peers.peers)
app.add_typer(drill.app, name="drill")
app.add_typer(cost.app, name="cost")
app.add_typer(diff.app, name="diff")
app.add_typer(prices.app, name="prices")
app.command()(unlock.unlock)


@dataclass(frozen=True)
class Options:
    """The options before the command."""

    lab: bool
    debug: bool


@app.callback()
def _options(
    context: typer.Context,
    lab: Annotated[bool, typer.Option("--lab", help="Work on the lab on this machine instead of AWS.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show stack traces.")] = False,
) -> None:
    context.obj = Options(lab=lab, debug=debug)


@app.command()
def status(
    context: typer.Context,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the estate is healthy.")] = False,
    wait_s: Annotated[float, typer.Option("--wait-s", min=0, help="How long --wait waits, in seconds.")] = 600,
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Show who is primary, what lags, what is down. Exit code 1 when the estate is not healthy."""
    # Imported late: boto3 takes a tenth of a second to load, and most commands do not need it.
    from cli.connect import connect
    from ops.pointers import pointers
    from ops.status import await_healthy

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    planned = [host.name for host in settings.plan_hosts()]
    deadline_s = wait_s if wait else 0
    seen = await_healthy(estate, planned, deadline_s=deadline_s, named=pointers(estate, settings))
    if json:
        console.print_json(seen)
    else:
        console.print_status(seen)
    if not seen.healthy:
        raise typer.Exit(EXIT_FAILED)


def main() -> None:
    """The entry point. It turns errors into messages and exit codes."""
    try:
        app()
    except HaError as error:
        if "--debug" in sys.argv:
            raise
        console.err.print(f"ha: {error}", markup=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:  # the reader of our output has ended, as `head` does
        sys.stdout = None  # nothing is left to flush
        raise SystemExit(EXIT_FAILED) from None
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        shown = HaError(
            str(error.strerror or error),
            where=str(error.filename or "this machine"),
            fix="fix that and run the command again; `ha --debug ...` shows where it failed",
        )
        console.err.print(f"ha: {shown}", markup=False, soft_wrap=True)
        raise SystemExit(EXIT_FAILED) from None

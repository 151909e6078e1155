"""`ha db`: the database pair."""

from __future__ import annotations

import typer

from cli import console
from cli.options import EstateStack, Json, settings_of

app = typer.Typer(help="The database pair.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Without a callback, Typer would make an app with one command that command."""


@app.command()
def switchover(context: typer.Context, stack: EstateStack = "", json: Json = False) -> None:
    """Promote the standby, and wait until the new primary accepts writes and is redundant.

    Refused, and nothing is changed, when no standby is in synchronous replication, or it lags.
    """
    from cli.connect import connect
    from ops.switchover import switchover as hand_over

    estate = connect(stack, settings_of(stack), lab=context.obj.lab)
    with console.progress() as progress:
        done = hand_over(estate, progress.step)
    if json:
        console.print_json(done)
        return
    console.out.print(
        f"{done.stack} on {done.target}: {done.primary_after} is the primary now, {done.primary_before} was. "
        f"It accepted writes after {done.writable_s:.1f} s and was redundant after {done.took_s:.0f} s.",
        markup=False,
        soft_wrap=True,
    )

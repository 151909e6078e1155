"""`ha db`: the database pair."""

from __future__ import annotations

import typer

from cli import console
from cli.options import EstateStack, Json
from spec.project import REPOSITORY
from spec.stack_file import load_settings

app = typer.Typer(help="The database pair.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Without it, an app with one command would be that command."""


@app.command()
def switchover(context: typer.Context, stack: EstateStack = "", json: Json = False) -> None:
    """Hand the primary over to the standby, and wait until the new one writes and is redundant.

    Refused, and nothing touched, when there is no standby in synchronous replication or it lags.
    """
    from cli.connect import connect
    from ops.switchover import switchover as hand_over

    estate = connect(stack, load_settings(REPOSITORY, stack), lab=context.obj.lab)
    with console.progress() as progress:
        done = hand_over(estate, progress.step)
    if json:
        console.print_json(done)
        return
    console.out.print(
        f"{done.stack} on {done.target}: {done.primary_after} is the primary, {done.primary_before} was. "
        f"It wrote after {done.writable_s:.1f} s; all took {done.took_s:.0f} s.",
        markup=False,
        soft_wrap=True,
    )

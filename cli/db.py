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

    Refused, and nothing is changed, when no standby is in synchronous replication, or it lags, or while another
    operation runs on the estate.
    """
    from cli.connect import connect
    from ops.lease import process_lease
    from ops.scope import scope_of
    from ops.switchover import switchover as switch_over

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    lease = process_lease(estate.client("s3"), scope_of(estate, settings).artifact_bucket, "ha db switchover")
    with console.progress() as progress:
        done = switch_over(estate, lease, progress.step)
    if json:
        console.print_json(done)
        return
    console.out.print(
        f"{done.stack} on {done.target}: {done.primary_after} is the primary now, {done.primary_before} was. "
        f"It accepted writes after {done.writable_s:.1f} s and was redundant after {done.took_s:.0f} s.",
        markup=False,
        soft_wrap=True,
    )

"""`ha unlock`: who operates on the estate, and how to free its lease when that operation has died."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import EstateStack, Json, settings_of
from spec.errors import HaError

if TYPE_CHECKING:
    from ops.estate import Estate
    from ops.lease import Seen


def unlock(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Free the lease without asking.")] = False,
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Show which operation holds the estate's lease, and free it.

    Free it only when that operation has died: a living one stops at its next step, wherever it is. With --json and
    without --yes it only shows the lease.
    """
    from cli.connect import connect
    from ops.lease import free, look
    from ops.scope import scope_of

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    s3, bucket = estate.client("s3"), scope_of(estate, settings).artifact_bucket
    seen = look(s3, bucket)
    taken = seen.held or bool(seen.fault)
    if not json:
        console.out.print(_in_words(estate, seen), markup=False, soft_wrap=True)
    freed = taken and (yes or (not json and _confirmed()))
    if freed:
        free(s3, bucket, seen)
    if json:
        lease = seen.record.model_dump(mode="json") if seen.held and seen.record else None
        console.print_json(
            {"stack": estate.stack, "target": estate.target, "lease": lease, "damaged": seen.fault, "freed": freed}
        )
    elif freed:
        console.out.print("the lease is free", markup=False)


def _in_words(estate: Estate, seen: Seen) -> str:
    where = f"{estate.stack} on {estate.target}"
    if seen.fault:
        return f"{where}: the lease is damaged: {seen.fault}"
    if not seen.held or seen.record is None:
        return f"{where}: no operation holds the lease"
    one = seen.record
    return (
        f"{where}: {one.what!r} by {one.by} has held the lease since {one.since:%Y-%m-%d %H:%M:%S} UTC; "
        f"it lasts {(one.until - seen.at).total_seconds():.0f} s more unless it is renewed"
    )


def _confirmed() -> bool:
    """:raises HaError: when there is nobody to ask, or the answer is no."""
    if not _at_a_terminal():
        raise HaError("the lease was not freed", fix="when that operation has died, run `ha unlock --yes`")
    if not typer.confirm("Has that operation died? Free the lease", err=True):
        raise HaError("the lease was not freed")
    return True


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()

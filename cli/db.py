"""`ha db`: the database pair."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import EstateStack, Json, settings_of
from spec.errors import EXIT_FAILED, EXIT_USAGE, HaError
from spec.limits import WAL_SEGMENT_MIB

if TYPE_CHECKING:
    from ops.backups import Backups
    from ops.proof import Proof
    from ops.recovery import Made, Verified
    from ops.restore import Restored
    from ops.snapshots import Snapshot
    from spec.settings import Settings

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


@app.command()
def backup(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="A full backup instead of what changed since the last.")] = False,
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Make a backup now, on the primary.

    Refused while another operation runs on the estate, or another backup. It goes on when you interrupt this command.
    """
    from cli.connect import connect
    from ops.lease import process_lease
    from ops.recovery import backup as make
    from ops.scope import scope_of

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    lease = process_lease(estate.client("s3"), scope_of(estate, settings).artifact_bucket, "ha db backup")
    with console.progress() as progress:
        made = make(estate, lease, progress.step, full=full)
    if json:
        console.print_json(made)
    else:
        _print_made(made)


@app.command()
def backups(context: typer.Context, stack: EstateStack = "", json: Json = False) -> None:
    """Show which backups there are, from when to when one can go back, and what is missing."""
    from cli.connect import connect
    from ops.recovery import described as ask
    from ops.scope import scope_of

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    bucket = scope_of(estate, settings).artifact_bucket
    with console.progress() as progress:
        found = ask(estate, settings.backups, bucket, progress.step)
    if json:
        console.print_json(found)
    else:
        _print_backups(found)


@app.command()
def verify(context: typer.Context, stack: EstateStack = "", json: Json = False) -> None:
    """Read all backups and all archived WAL, and compare checksums. Exit code 1 when something is damaged or missing.

    It reads the whole repository: minutes, and more with a large database.
    """
    from cli.connect import connect
    from ops.recovery import verify as check

    estate = connect(stack, settings_of(stack), lab=context.obj.lab)
    with console.progress() as progress:
        done = check(estate, progress.step)
    if json:
        console.print_json(done)
    else:
        _print_verified(done)
    if not done.good:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def restore(
    context: typer.Context,
    to: Annotated[
        str, typer.Option("--to", help='To which point: "2026-12-01 14:05 UTC", lsn:0/3000148, newest; see --help.')
    ] = "",
    end: Annotated[bool, typer.Option("--end", help="End the host of an earlier restore instead.")] = False,
    backup: Annotated[
        str,
        typer.Option("--backup", help="The label of the backup to begin with, instead of the newest that leads there."),
    ] = "",
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Restore the database beside the running one, on a host of its own, to look and to copy rows out.

    --to takes a time with its zone ("2026-12-01 14:05 Europe/Berlin", "2026-12-01T14:05:09+01:00"), a position in the
    WAL (lsn:0/3000148), the moment just before a transaction (before-transaction:7421), or newest. The running database
    is not touched. The host costs money until `--end`, or until it ends by itself after a day.
    """
    from cli.connect import connect
    from ops import restore as restores
    from ops import restore_host
    from ops.lease import process_lease
    from ops.scope import scope_of
    from ops.target import parse

    settings = settings_of(stack)
    if bool(to) == end:
        raise HaError(
            "say to which point, or end an earlier restore",
            where="ha db restore",
            fix="ha db restore --to TIME, or ha db restore --end",
            exit_code=EXIT_USAGE,
        )
    target = parse(to, now=datetime.now(UTC)) if to else None
    estate = connect(stack, settings, lab=context.obj.lab)
    with console.progress() as progress:
        if target is None:
            ended = restore_host.end_all(estate, progress.step)
        else:
            progress.step(f"a host of its own costs {_price_of_restore(settings)} an hour")
            scope = scope_of(estate, settings)
            lease = process_lease(estate.client("s3"), scope.artifact_bucket, "ha db restore")
            made = restores.restore(estate, scope, settings.backups, lease, target, progress.step, named=backup or None)
    if target is None:
        console.out.print(
            f"{stack}: {', '.join(ended) or 'no host'} ended" if ended else f"{stack}: there is no restore"
        )
    elif json:
        console.print_json(made)
    else:
        _print_restored(made)


@app.command("copy-rows")
def copy_rows(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="The table, such as events.")],
    where: Annotated[str, typer.Option("--where", help="Which rows: a condition in SQL.")] = "true",
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Copy rows of the restored database back into the running one.

    Those that are there already, by their keys, are left as they are. All of it is one transaction.
    """
    from cli.connect import connect
    from ops.copy_rows import copy_rows as copy

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    with console.progress() as progress:
        done = copy(estate, settings.database.name, table, where, progress.step)
    if json:
        console.print_json(done)
        return
    console.out.print(
        f"{done.stack} on {done.target}: {done.found} rows of {done.table} on {done.restored_on}, {done.added} of them "
        f"were missing on {done.primary} and are there again.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def prove(context: typer.Context, stack: EstateStack = "", json: Json = False) -> None:
    """Prove the newest backup: restore it on a host of its own, read all of it, and end the host.

    The monitor reads the result, and alerts when it is bad or older than a week. Exit code 1 when it is bad.
    """
    from cli.connect import connect
    from ops.lease import process_lease
    from ops.prove import prove as prove_newest
    from ops.scope import scope_of

    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    scope = scope_of(estate, settings)
    lease = process_lease(estate.client("s3"), scope.artifact_bucket, "ha db prove")
    with console.progress() as progress:
        progress.step(f"a host of its own costs {_price_of_restore(settings)} an hour")
        proof = prove_newest(estate, scope, settings.backups, lease, progress.step)
    if json:
        console.print_json(proof)
    else:
        _print_proof(stack, proof)
    if not proof.good:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def snapshots(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[SNAPSHOT_ID]...", help="What to drop.")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Delete these snapshots, for good.")] = False,
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Show the snapshots of data volumes that operations took, newest first, or drop some of them.

    They are kept, and cost money, until somebody drops them: `ha db snapshots --drop SNAPSHOT_ID...`
    """
    from cli.connect import connect
    from ops import snapshots as kept
    from ops.lease import process_lease
    from ops.scope import scope_of

    if bool(ids) != drop:
        raise HaError(
            "say which snapshots to drop" if drop else f"to do what with {', '.join(ids or ())}?",
            where="ha db snapshots",
            fix="ha db snapshots --drop SNAPSHOT_ID...; without both it lists them",
            exit_code=EXIT_USAGE,
        )
    settings = settings_of(stack)
    estate = connect(stack, settings, lab=context.obj.lab)
    dropped: list[str] = []
    if ids:
        with (
            console.progress() as progress,
            process_lease(estate.client("s3"), scope_of(estate, settings).artifact_bucket, "ha db snapshots --drop"),
        ):
            dropped = kept.drop(estate, ids, progress.step)
    found = kept.of_stack(estate)
    if json:
        console.print_json(kept.Snapshots(stack=stack, target=estate.target, snapshots=found, dropped=dropped))
        return
    _print_snapshots(found)
    count = "no snapshot" if not found else "1 snapshot" if len(found) == 1 else f"{len(found)} snapshots"
    done = f"{', '.join(dropped)} dropped; " if dropped else ""
    console.out.print(f"{stack} on {estate.target}: {done}{count} kept", markup=False, soft_wrap=True)


def _print_snapshots(found: Sequence[Snapshot]) -> None:
    if not found:
        return
    shown = console.table("snapshot", "host", "taken (UTC)", "volume", "state", "why")
    for one in found:
        state = f"{one.state} {one.progress}" if one.state == "pending" else one.state
        shown.add_row(one.id, one.host, f"{one.started:%Y-%m-%d %H:%M}", f"{one.size_gib} GiB", state, one.why)
    console.out.print(shown)
    console.out.print()


def _price_of_restore(settings: Settings) -> str:
    """What the host of a restore costs an hour."""
    from cost.prices import HOURS_PER_MONTH, MissingPrice, Unit, load

    try:
        book = load(settings.region)
        hour = book.price(f"ec2.{settings.database.instance_type}.hour", Unit.HOUR).usd
        disk = book.price("ebs.gp3.gb", Unit.GB_MONTH).usd / HOURS_PER_MONTH
    except (FileNotFoundError, MissingPrice):
        return "an amount that is not known for this region"
    return f"${hour + disk * (settings.database.volume_gib + settings.database.root_volume_gib):.3f}"


def _print_restored(made: Restored) -> None:
    from ops.backups import clock, size

    where = f"{made.stack} on {made.target}"
    for one in made.skipped:
        console.out.print(f"damaged:  {one}", markup=False, soft_wrap=True)
    until = f"its last transaction is of {clock(made.recovered_until)}" if made.recovered_until else "no transaction"
    console.out.print(
        f"{where}: {made.host} ({made.instance_id}) holds the database as of {made.to}: {until}. From the backup "
        f"{made.backup}, {size(made.bytes)}: fetched in {console.duration(made.fetched_s)}, recovered in "
        f"{console.duration(made.recovered_s)}, {console.duration(made.took_s)} in all.",
        markup=False,
        soft_wrap=True,
    )
    ends = f"it ends by itself at {clock(made.ends)}" if made.ends else "it ends by itself a day after its launch"
    console.out.print(
        f"look:     ha {'--lab ' if made.target == 'lab' else ''}db restore --help, docs/recovery.md; {ends}, "
        "or by `ha db restore --end`",
        markup=False,
        soft_wrap=True,
    )


def _print_proof(stack: str, proof: Proof) -> None:
    from ops.backups import clock, size

    if not proof.good:
        text = f"the backup {proof.backup or ''} is NOT proven: {proof.why}"
    else:
        text = (
            f"the backup {proof.backup} ({size(proof.bytes or 0)}) was restored in "
            f"{console.duration(proof.restore_s or 0)} and read whole at {clock(proof.at)}; its newest row was "
            f"{console.duration(proof.rpo_s or 0)} old."
        )
    console.out.print(f"{stack}: {text}", markup=False, soft_wrap=True)


def _print_backups(found: Backups) -> None:
    """Print what there is to go back to, and what is wrong with it."""
    from ops.backups import clock, progress_in_words, size

    if found.backups:
        shown = console.table("backup", "ended (UTC)", "took", "database", "added", "kept until")
        full = ""
        for one in found.backups:
            # The label of an incremental one begins with that of its full one, above it: 80 columns hold it once.
            label = one.label.removeprefix(full)
            full = one.label if one.type == "full" else full
            took = console.duration((one.stopped - one.started).total_seconds())
            sizes = size(one.database_bytes), size(one.added_bytes)
            kept = f"{one.kept_until:%Y-%m-%d}" if one.kept_until else ""
            shown.add_row(label, f"{one.stopped:%Y-%m-%d %H:%M}", took, *sizes, "unusable" if one.fault else kept)
        console.out.print(shown)
        console.out.print()
    for one_range in found.ranges:
        until = clock(one_range.until) if one_range.until else "the newest archived WAL"
        console.out.print(f"one can go back to: {clock(one_range.since)} until {until}", markup=False, soft_wrap=True)
    if found.proof:
        proven, age = found.proof, console.duration(found.proof.rpo_s or 0)
        line = f"proven by a restore: {proven.backup} at {clock(proven.at)}, its newest row was {age} old"
        console.out.print(line, markup=False, soft_wrap=True)
    if found.running:
        console.out.print(f"running:  a backup, {progress_in_words(found.running)}", markup=False, soft_wrap=True)
    if found.segment_bytes and found.segment_bytes > WAL_SEGMENT_MIB * 2**20:
        console.out.print(
            f"segments: {size(found.segment_bytes)} each, as the pair was made before there were backups; one that is "
            f"made now has {WAL_SEGMENT_MIB} MiB (docs/recovery.md#segments)",
            markup=False,
            soft_wrap=True,
        )
    for problem in found.problems:
        console.out.print(f"problem:  {problem}", markup=False, soft_wrap=True)
    waiting = f", {found.waiting_segments} segments wait" if found.waiting_segments else ""
    archived = f"archived until {clock(found.archived)}{waiting}" if found.archived else "what is archived is not known"
    count = "1 backup" if len(found.backups) == 1 else f"{len(found.backups)} backups"
    where = f"{found.stack} on {found.target}"
    console.out.print(f"{where}: {count}, {archived} (as {found.host} says)", markup=False, soft_wrap=True)


def _print_made(made: Made) -> None:
    from ops.backups import size

    kind = "full" if made.type == "full" else "incremental"
    console.out.print(
        f"{made.stack} on {made.target}: {made.host} made the {kind} backup {made.label} in "
        f"{console.duration(made.took_s)}: {size(made.repository_bytes)} added to the repository for a "
        f"database of {size(made.bytes)}.",
        markup=False,
        soft_wrap=True,
    )


def _print_verified(done: Verified) -> None:
    from ops.backups import in_words

    for line in (*(f"damaged: {one}" for one in done.damaged), *(f"missing: {in_words(one)}" for one in done.holes)):
        console.out.print(line, markup=False, soft_wrap=True)
    verdict = "all are good, and no WAL is missing" if done.good else "NOT good"
    console.out.print(
        f"{done.stack} on {done.target}: {done.host} read {done.files} files of the repository in "
        f"{console.duration(done.took_s)}: {verdict}.",
        markup=False,
        soft_wrap=True,
    )

"""Rows of a restored database back into the running one: those that are missing there, all of them or none."""

from __future__ import annotations

import base64
import gzip
import re
import secrets
import shlex
from typing import Final, Literal

from pydantic import BaseModel

from ops import host_job
from ops.estate import CommandFailed, Estate, Instance
from ops.postgres import psql_command
from ops.recovery import the_primary
from ops.restore_host import Say
from ops.runs import printable
from spec.errors import EXIT_USAGE, HaError

MAX_BYTES: Final = 4 * 2**20
"""Of the rows, compressed: each part is a command of its own."""
_PART: Final = 24_000
"""Characters; Run Command takes a document of 64 KB."""
_TABLE: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_COMMAND_S: Final = 60
_COPY_S: Final = 300
_ADDED: Final = re.compile(r"^INSERT 0 (\d+)$", re.MULTILINE)


class Copied(BaseModel):
    """The document of `ha db copy-rows --json`. `added`: those of the `found` rows that were not there."""

    stack: str
    target: Literal["aws", "lab"]
    table: str
    restored_on: str
    primary: str
    found: int
    added: int


def copy_rows(estate: Estate, database: str, table: str, where: str, say: Say) -> Copied:
    """Read rows of a table on the host of a restore, and add those that the primary lacks, in one transaction.

    :param where: a condition in SQL.
    :raises HaError: when there is no restored database, or one of the two refuses; nothing was added then.
    """
    if not _TABLE.fullmatch(table):
        raise HaError(f"{table!r} is no name of a table", where="ha db copy-rows", fix="events", exit_code=EXIT_USAGE)
    restored = _restored(estate)
    primary = the_primary(estate)
    say(f"{restored.host} reads the rows of {table}")
    query = f"copy (select * from {table} where {where}) to stdout"  # noqa: S608 - an operator may ask anything
    try:
        # Its last line is the error itself.
        terse = psql_command(database, query).replace(" -XqAtw ", " -XqAtw -v VERBOSITY=terse ")
        rows = host_job.read(estate, restored, terse, timeout_s=_COPY_S)
    except CommandFailed:
        raise
    except HaError as failed:
        raise HaError(f"the rows cannot be read: {failed.what}", where=restored.host, fix="check --where") from None
    found = rows.count(b"\n")  # COPY's text format has a line for each row
    if not found:
        return _copied(estate, table, restored, primary, 0, 0)
    packed = gzip.compress(rows)
    if len(packed) > MAX_BYTES:
        raise HaError(
            f"{found} rows are {len(packed)} bytes compressed, more than {MAX_BYTES}",
            where=restored.host,
            fix="narrow --where and copy in parts",
        )
    say(f"{primary.host} adds those of {found} rows that it lacks")
    return _copied(estate, table, restored, primary, found, _add(estate, primary, database, table, packed))


def _restored(estate: Estate) -> Instance:
    for one in estate.on_demand():
        return one
    raise HaError(
        "no host holds a restored database",
        where=f"{estate.stack} on {estate.target}",
        fix="restore first: `ha db restore --to TIME`",
    )


def _add(estate: Estate, primary: Instance, database: str, table: str, packed: bytes) -> int:
    folder = f"/run/ha/rows.{secrets.token_hex(8)}"
    text = base64.b64encode(packed).decode()
    _run(estate, primary, f"install -d -m 0750 -o postgres {folder}")
    try:
        for begin in range(0, len(text), _PART):
            _run(estate, primary, f"printf %s {text[begin : begin + _PART]} >>{folder}/packed")
        _run(estate, primary, f"base64 -d {folder}/packed | gunzip >{folder}/rows && chmod 644 {folder}/rows")
        script = "\n".join(
            [
                f"create temporary table restored (like {table});",
                f"\\copy restored from '{folder}/rows'",
                f"insert into {table} overriding system value select * from restored on conflict do nothing;",  # noqa: S608 - a checked name
                "",
            ]
        )
        # Without `-q`, psql says how many rows it inserted.
        psql = psql_command(database).replace(" -XqAtw ", " -XAtw ")
        command = f"printf %s {shlex.quote(script)} | {psql} --single-transaction --file=-"
        said = _run(estate, primary, command, timeout_s=_COPY_S)
    finally:
        estate.run(primary.instance_id, f"rm -rf {folder}", timeout_s=_COMMAND_S)
    added = _ADDED.search(said)
    if added is None:
        raise HaError("the primary does not say how many rows it added", where=primary.host, fix="look at the table")
    return int(added[1])


def _run(estate: Estate, on: Instance, command: str, *, timeout_s: int = _COMMAND_S) -> str:
    done = estate.run(on.instance_id, command, timeout_s=timeout_s)
    if done.exit_code != 0:
        raise HaError(
            f"no row was added: {printable(done.stderr or done.stdout)[-400:]}",
            where=on.host,
            fix="the restored table and the running one must have the same columns; nothing was changed",
        )
    return done.stdout


def _copied(estate: Estate, table: str, restored: Instance, primary: Instance, found: int, added: int) -> Copied:
    return Copied(
        stack=estate.stack,
        target=estate.target,
        table=table,
        restored_on=restored.host,
        primary=primary.host,
        found=found,
        added=added,
    )

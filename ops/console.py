"""What `ha` says: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from ops.status import Status

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(document: BaseModel) -> None:
    """One JSON document on standard output, and nothing else there."""
    sys.stdout.write(document.model_dump_json(indent=2) + "\n")


def print_status(status: Status) -> None:
    """The estate as a person reads it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("host", "role", "zone", "address", "state", ""):
        table.add_column(column, overflow="fold")
    for host in status.hosts:
        state = "healthy" if host.healthy else host.state
        role = f"{host.role}{_part(status, host.name)}"
        table.add_row(host.name, role, host.zone, host.address, state, host.detail)
    out.print(table)
    database = status.database
    lag = "" if database.lag_bytes is None else f", {database.lag_bytes} bytes behind"
    out.print(
        f"\ndatabase: primary {database.primary or 'none'}, standby {database.standby or 'none'} ({database.replication}{lag})"
    )
    for problem in status.problems:
        out.print(f"problem:  {problem}", markup=False)
    out.print(
        f"{status.stack} on {status.target}: {'healthy' if status.healthy else 'NOT healthy'}  {status.url or ''}"
    )


def _part(status: Status, host: str) -> str:
    if host == status.database.primary:
        return ", primary"
    return ", standby" if host == status.database.standby else ""

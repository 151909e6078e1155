"""Runs SQL on the primary, whichever host that is by then."""

from __future__ import annotations

import time
from collections.abc import Sequence

from drills.fault_injector import FaultInjector
from ops.postgres import psql_command
from spec.errors import HaError

WITHIN_S = 60.0
"""Longer than a failover, which an interrupted drill may leave under way."""
_ONE_ATTEMPT_S = 10
_PAUSE_S = 0.5


def run_on_primary(injector: FaultInjector, hosts: Sequence[str], database: str, statement: str) -> None:
    """Runs a statement that may be repeated on each database host in turn, until one accepts it.

    :raises HaError: when none does within `WITHIN_S`.
    """
    script = f"timeout {_ONE_ATTEMPT_S} {psql_command(database, statement)}"
    deadline = time.monotonic() + WITHIN_S
    while True:
        for host in hosts:
            try:
                injector.run(host, script)
            except HaError as error:
                refusal = error
            else:
                return
        if time.monotonic() > deadline:
            raise HaError(
                f"no database host accepted within {WITHIN_S:g} s: {statement} (last error: {refusal.what})",
                where=f"{', '.join(hosts)}, database {database}",
                fix=f"on the primary: {psql_command(database, statement)}",
            )
        time.sleep(_PAUSE_S)

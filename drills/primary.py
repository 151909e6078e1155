"""The primary, whichever host that is by then."""

from __future__ import annotations

import time
from collections.abc import Sequence

from drills.fault_injector import FaultInjector
from ops.postgres import psql_command
from ops.status import database_of, observe
from spec.errors import HaError
from spec.tiers import Tier

WITHIN_S = 60.0
"""Longer than a failover, which an interrupted drill may leave under way."""
_ONE_ATTEMPT_S = 10
_PAUSE_S = 0.5


def primary_of(injector: FaultInjector) -> str:
    """The name of the primary. :raises HaError: when there is none."""
    found = database_of(observe(injector.estate, [Tier.DB])).primary
    if found is None:
        raise HaError("there is no primary", where=injector.estate.stack, fix="`ha --lab status` shows what is wrong")
    return found


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

"""Removing what a drill put into the database, on whichever host takes it by then."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from drills.ground import Ground
from spec.errors import HaError

WITHIN_S = 60.0
"""Longer than a failover: a drill that was interrupted may leave one behind."""
_ONE_TRY_S = 10
_PAUSE_S = 0.5


def tell_primary(ground: Ground, hosts: Sequence[str], database: str, statement: str) -> None:
    """Runs SQL where it is accepted; harmless to repeat, it is tried on each host until one did.

    :raises HaError: when none did within `WITHIN_S`.
    """
    psql = f"/usr/local/sbin/ha-postgres psql -Xq -v ON_ERROR_STOP=1 -d {database}"
    script = f"timeout {_ONE_TRY_S} {psql} -c {shlex.quote(statement)}"
    deadline = time.monotonic() + WITHIN_S
    while True:
        for host in hosts:
            try:
                ground.run(host, script)
            except HaError as error:
                refusal = error
            else:
                return
        if time.monotonic() > deadline:
            raise HaError(
                f"no database host took it within {WITHIN_S:g} s: {statement}",
                where=str(refusal.what),
                fix="run it on the primary",
            )
        time.sleep(_PAUSE_S)

"""`ha` with one more drill, which breaks a promise on purpose: `db-two-writers`, in which both nodes accept writes.

The primary is cut off from the other node and the failover monitor. Its keeper hangs and it acknowledges commits alone,
so that it goes on when the other node has taken over. The fence keeps applications out of it; the drill's probe commits
on the hosts themselves.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from cli.main import main
from drills import catalogue
from drills.fault_injector import FaultInjector
from drills.faults import FAULTS, Fault, Targets
from ops.postgres import ADMIN_DATABASE, psql_command

NAME = "db-two-writers"
_CUT_OFF = FAULTS["partition-both"]
_KEEPER = "kill -{} $(pgrep -x pg_autoctl)"
_RELOAD = "select pg_reload_conf()"
_AS_BEFORE = (
    f"for _ in $(seq 180); do {psql_command(ADMIN_DATABASE, 'alter system reset synchronous_commit', _RELOAD)} "
    ">/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1"
)


def _inject(injector: FaultInjector, targets: Targets) -> None:
    injector.run(targets.primary, psql_command(ADMIN_DATABASE, "alter system set synchronous_commit = local", _RELOAD))
    injector.run(targets.primary, _KEEPER.format("STOP"))
    _CUT_OFF.inject(injector, targets)


def _heal(injector: FaultInjector, targets: Targets) -> None:
    with contextlib.ExitStack() as rest:
        for host in (targets.standby, targets.primary):
            rest.callback(injector.run, host, _AS_BEFORE, timeout_s=120)
        rest.callback(injector.run, targets.primary, _KEEPER.format("CONT"))
        rest.callback(_CUT_OFF.heal, injector, targets)


if __name__ == "__main__":
    on_purpose = replace(catalogue.CATALOGUE["db-unsafe-power-loss"], name=NAME, fault=Fault(NAME, _inject, _heal))
    catalogue.CATALOGUE = {**catalogue.CATALOGUE, NAME: on_purpose}
    main()

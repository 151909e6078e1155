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
from drills.faults import FAULTS, Fault, Scene
from drills.ground import Ground

NAME = "db-two-writers"
_CUT_OFF = FAULTS["partition-both"]
_PSQL = "/usr/local/sbin/ha-postgres psql -Xq -d postgres"
_KEEPER = "kill -{} $(pgrep -x pg_autoctl)"
_AS_BEFORE = (
    f"for _ in $(seq 180); do {_PSQL} -c 'alter system reset synchronous_commit' -c 'select pg_reload_conf()' "
    ">/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1"
)


def _inject(ground: Ground, scene: Scene) -> None:
    ground.run(scene.primary, f"{_PSQL} -c 'alter system set synchronous_commit = local' -c 'select pg_reload_conf()'")
    ground.run(scene.primary, _KEEPER.format("STOP"))
    _CUT_OFF.inject(ground, scene)


def _heal(ground: Ground, scene: Scene) -> None:
    with contextlib.ExitStack() as rest:
        for host in (scene.standby, scene.primary):
            rest.callback(ground.run, host, _AS_BEFORE, timeout_s=120)
        rest.callback(ground.run, scene.primary, _KEEPER.format("CONT"))
        rest.callback(_CUT_OFF.heal, ground, scene)


if __name__ == "__main__":
    on_purpose = replace(catalogue.CATALOGUE["db-unsafe-power-loss"], name=NAME, fault=Fault(NAME, _inject, _heal))
    catalogue.CATALOGUE = {**catalogue.CATALOGUE, NAME: on_purpose}
    main()

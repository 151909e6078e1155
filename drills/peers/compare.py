"""Contender after contender, fault after fault, on one estate; ours is in place again at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from drills.catalogue import CATALOGUE, Drill, Role
from drills.interrupts import held_back
from drills.lab_ground import LabGround
from drills.peers.contenders import OURS, Contender
from drills.peers.results import Comparison, Entry, PeerOutcome
from drills.peers.stage import HEALTHY_S, Stage
from drills.results import Outcome, now, this_commit, this_machine
from drills.run import healthy_within, run
from spec.errors import EXIT_USAGE, HaError

Say = Callable[[str], None]
FAULTS = ("power-loss", "network-cut", "partition-both", "stop", "kill", "switchover")
"""Those that are compared when none is named."""
HOLD_AT_MOST_S = 90.0
"""Longer than the slowest contender is known to take: a fault that is healed before would help it."""
REDUNDANT_WITHIN_S = 240.0
_POSSIBLE = {one.fault.name: one for one in CATALOGUE.values() if one.name == f"db-{one.fault.name}" and not one.proof}


def find_fault(name: str) -> Drill:
    """The drill of a fault of the primary. :raises HaError: with exit code 2, naming those that there are."""
    drill = _POSSIBLE.get(name.removeprefix("db-"))
    if drill is None or drill.role is not Role.PRIMARY:
        raise HaError(
            f"there is no fault {name!r} that contenders could be put to",
            where="ha drill peers",
            fix=f"one of {', '.join(_POSSIBLE)}",
            exit_code=EXIT_USAGE,
        )
    return replace(drill, hold_at_most_s=HOLD_AT_MOST_S, redundant_within_s=REDUNDANT_WITHIN_S)


def compare(
    contenders: Sequence[Contender],
    faults: Sequence[Drill],
    repeat: int,
    stage: Stage,
    folder: Path,
    say: Say,
    command: str,
) -> Comparison:
    """Puts each contender to each fault; what was found is in `folder` after each.

    :param command: what a person typed for it.

    :raises HaError: when a contender cannot be put in place. Ours is put in place again also then.
    """
    found = Comparison(
        command=command,
        stack=stage.ground(OURS).estate.stack,
        at=now(),
        commit=this_commit(),
        machine=this_machine(),
        contenders=[],
        outcomes=[],
    )
    try:
        for contender in contenders:
            stage.put(contender)
            figures = contender.figures(stage.ground(OURS).settings.timers)
            found.contenders.append(
                Entry(name=contender.name, title=contender.title, packages=stage.versions(), settings=figures)
            )
            for drill in faults:
                for _ in range(repeat):
                    found.outcomes.append(_put_to(contender, drill, stage, say))
                    found.keep(folder)
    finally:
        with held_back():
            stage.put_back()
    return found


def _put_to(contender: Contender, drill: Drill, stage: Stage, say: Say) -> PeerOutcome:
    def told(text: str) -> None:
        say(f"{contender.name}: {text}")

    try:
        outcome = _run_healthy(contender, drill, stage.ground(contender), told)
    except HaError as error:
        told(f"{drill.name} has no outcome: {error.what}")
        stage.put(contender)
        return PeerOutcome(contender=contender.name, fault=drill.name, unfinished=error.what)
    told(f"{drill.name}: writes out {outcome.outage_s:.2f} s, {outcome.failed} failed, {outcome.lost} lost")
    if outcome.redundant_again_s is None:
        stage.put(contender)
    # Its timers are the entry's: those of a stack say nothing of Patroni.
    return PeerOutcome(contender=contender.name, fault=drill.name, outcome=outcome.model_copy(update={"timers": {}}))


def _run_healthy(contender: Contender, drill: Drill, ground: LabGround, told: Say) -> Outcome:
    """Runs a drill when the estate has become healthy; anew where it was not any more when the drill looked."""
    deadline = time.monotonic() + HEALTHY_S
    while True:
        healthy_within(ground, max(0.0, deadline - time.monotonic()))
        try:
            return run(drill, ground, told, contender.software)
        except HaError as refusal:
            if refusal.exit_code != EXIT_USAGE or time.monotonic() > deadline:
                raise

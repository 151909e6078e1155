"""Runs the same drills on each contender in turn, on one estate; ours is deployed again at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from drills.catalogue import CATALOGUE, Drill, Role
from drills.deferred_signals import defer_signals
from drills.fault_injector import FaultInjector
from drills.peers.contenders import OURS, Contender
from drills.peers.deployment import HEALTHY_S, Deployment
from drills.peers.results import Comparison, Entry, PeerOutcome
from drills.results import Outcome, now, this_commit, this_machine
from drills.run import healthy_within, run
from ops.switchover import Say
from spec.errors import EXIT_USAGE, HaError

FAULTS = ("power-loss", "network-cut", "partition-both", "stop", "kill", "switchover")
"""Compared when none is named."""
HOLD_AT_MOST_S = 90.0
"""Longer than the slowest contender takes: to heal a fault earlier would help that contender."""
REDUNDANT_WITHIN_S = 240.0
_POSSIBLE = {
    one.fault.name: one for one in CATALOGUE.values() if one.name == f"db-{one.fault.name}" and not one.self_test
}


def find_fault(name: str) -> Drill:
    """The drill that injects this fault into the primary. :raises HaError: with exit code 2, and the possible names."""
    drill = _POSSIBLE.get(name.removeprefix("db-"))
    if drill is None or drill.role is not Role.PRIMARY:
        raise HaError(
            f"no such fault of the primary: {name!r}",
            where="ha drill peers",
            fix=f"name one of {', '.join(_POSSIBLE)}",
            exit_code=EXIT_USAGE,
        )
    return replace(drill, hold_at_most_s=HOLD_AT_MOST_S, redundant_within_s=REDUNDANT_WITHIN_S)


def compare(
    contenders: Sequence[Contender],
    faults: Sequence[Drill],
    repeat: int,
    deployment: Deployment,
    folder: Path,
    say: Say,
    command: str,
) -> Comparison:
    """Runs each fault on each contender, and writes what was found to `folder` after each run.

    :param command: the command that makes this comparison, for its report.
    :raises HaError: when a contender cannot be deployed. Ours is deployed again in any case.
    """
    found = Comparison(
        command=command,
        stack=deployment.injector_for(OURS).estate.stack,
        at=now(),
        commit=this_commit(),
        machine=this_machine(),
        contenders=[],
        outcomes=[],
    )
    try:
        for contender in contenders:
            deployment.deploy(contender)
            figures = contender.figures(deployment.injector_for(OURS).settings.timers)
            found.contenders.append(
                Entry(name=contender.name, title=contender.title, packages=deployment.versions(), settings=figures)
            )
            for drill in faults:
                for _ in range(repeat):
                    found.outcomes.append(_run_fault(contender, drill, deployment, say))
                    found.keep(folder)
    finally:
        with defer_signals():
            deployment.restore()
    return found


def _run_fault(contender: Contender, drill: Drill, deployment: Deployment, say: Say) -> PeerOutcome:
    def say_with_name(text: str) -> None:
        say(f"{contender.name}: {text}")

    try:
        outcome = _run_healthy(contender, drill, deployment.injector_for(contender), say_with_name)
    except HaError as error:
        say_with_name(f"{drill.name} ended without an outcome: {error.what}")
        deployment.deploy(contender)
        return PeerOutcome(contender=contender.name, fault=drill.name, unfinished=error.what)
    say_with_name(
        f"{drill.name}: outage {outcome.outage_s:.2f} s, {outcome.failed} requests failed, {outcome.lost} writes lost"
    )
    if outcome.redundant_again_s is None:
        deployment.deploy(contender)
    # The contender's entry has its timers. Those of the stack do not apply to it.
    return PeerOutcome(contender=contender.name, fault=drill.name, outcome=outcome.model_copy(update={"timers": {}}))


def _run_healthy(contender: Contender, drill: Drill, injector: FaultInjector, say: Say) -> Outcome:
    """Runs a drill once the estate is healthy; waits again when it no longer is when the drill begins."""
    deadline = time.monotonic() + HEALTHY_S
    while True:
        healthy_within(injector, max(0.0, deadline - time.monotonic()))
        try:
            return run(drill, injector, say, contender.software)
        except HaError as refusal:
            if refusal.exit_code != EXIT_USAGE or time.monotonic() > deadline:
                raise

"""Runs drills one after another, each as often as asked. A run without an outcome is a result too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from drills.catalogue import Drill
from drills.fault_injector import FaultInjector
from drills.promises import p95_broken
from drills.results import Outcome, Result, Unfinished
from drills.run import healthy_within, provenance, run
from ops.switchover import Say
from spec.errors import HaError

HEALTHY_S: Final = 150.0
"""How long an estate may take to become healthy after a drill at whose end it was not."""


def series(
    drills: Sequence[Drill], repeat: int, injector: FaultInjector, say: Say, keep: Callable[[Drill, Result], None]
) -> list[Result]:
    """Runs each drill `repeat` times and calls `keep` with each result. Ends early, with a message, when the estate
    does not become healthy again.
    """
    found: list[Result] = []
    for drill in drills:
        for number in range(repeat):
            if repeat > 1:
                say(f"{drill.name}: {number + 1} of {repeat}")
            one = _one(drill, injector, say)
            keep(drill, one)
            found.append(one)
            if isinstance(one, Outcome) and one.change and one.change.returned.error:
                say("the remaining drills are not run: the estate does not run this checkout (`ha lab up` applies it)")
                return found
            if isinstance(one, Outcome) and one.redundant_again_s is not None:
                continue
            try:
                healthy_within(injector, HEALTHY_S)
            except HaError as error:
                say(f"the remaining drills are not run: {error.what}")
                return found
    return found


def _one(drill: Drill, injector: FaultInjector, say: Say) -> Result:
    try:
        return run(drill, injector, say)
    except (HaError, BotoCoreError, ClientError) as error:
        why = error.what if isinstance(error, HaError) else str(error)
        return Unfinished.model_validate({**provenance(drill, injector), "unfinished": " ".join(why.split())})


def broken_over_repeats(drills: Sequence[Drill], found: Sequence[Result]) -> list[str]:
    """The promises over all runs of a drill that are broken, a sentence each."""
    verdicts = []
    for drill in drills:
        outages = [one.outage_s for one in found if isinstance(one, Outcome) and one.fault == drill.name]
        if broken := p95_broken(drill.promise, outages):
            verdicts.append(f"{drill.name}: {broken}")
    return verdicts

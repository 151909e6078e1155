"""Drills one after another, each as often as asked; one that has no outcome is a result too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from drills.catalogue import Drill
from drills.ground import Ground
from drills.promises import p95_broken
from drills.results import Outcome, Result, Unfinished, now, this_commit, this_machine
from drills.run import Say, healthy_within, run
from spec.errors import HaError

HEALTHY_S: Final = 150.0
"""What an estate is given to become healthy after a drill that did not see it so."""


def series(
    drills: Sequence[Drill], repeat: int, ground: Ground, say: Say, keep: Callable[[Drill, Result], None]
) -> list[Result]:
    """Runs each drill `repeat` times; `keep` gets each result as it comes. An estate that does not become healthy
    again ends the series, which says so.
    """
    found: list[Result] = []
    for drill in drills:
        for number in range(repeat):
            if repeat > 1:
                say(f"{drill.name}: {number + 1} of {repeat}")
            one = _one(drill, ground, say)
            keep(drill, one)
            found.append(one)
            if isinstance(one, Outcome) and one.redundant_again_s is not None:
                continue
            try:
                healthy_within(ground, HEALTHY_S)
            except HaError as error:
                say(f"the drills that were to follow are not run: {error.what}")
                return found
    return found


def _one(drill: Drill, ground: Ground, say: Say) -> Result:
    try:
        return run(drill, ground, say)
    except (HaError, BotoCoreError, ClientError) as error:
        return Unfinished(
            fault=drill.name,
            unfinished=" ".join((error.what if isinstance(error, HaError) else str(error)).split()),
            stack=ground.estate.stack,
            at=now(),
            commit=this_commit(),
            machine=this_machine(),
            timers=ground.settings.timers.model_dump(),
        )


def broken_over_repeats(drills: Sequence[Drill], found: Sequence[Result]) -> list[str]:
    """What was promised of a drill's repeats together and is not kept, in words."""
    verdicts = []
    for drill in drills:
        outages = [one.outage_s for one in found if isinstance(one, Outcome) and one.fault == drill.name]
        if broken := p95_broken(drill.promise, outages):
            verdicts.append(f"{drill.name}: {broken}")
    return verdicts

"""What the failover monitor decided while a drill ran, from its own record of events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from drills.ground import Ground

SETTLED = frozenset({"primary", "secondary"})
"""The states of a pair that nothing is wrong with."""
PROMOTING = "prepare_promotion"

_PSQL = "/usr/local/sbin/ha-postgres psql -XqAt -v ON_ERROR_STOP=1 -d pg_auto_failover -c"
_LAST = "select coalesce(max(eventid), 0) from pgautofailover.event"
_SINCE = (
    "select json_build_object('node', nodename, 'goal', goalstate, 'why', description) "
    "from pgautofailover.event where eventid > {last} order by eventid"
)


@dataclass(frozen=True)
class Event:
    """The monitor assigned `goal` to a node, or said something of it while that was its goal."""

    node: str
    goal: str
    why: str


@dataclass(frozen=True)
class Decisions:
    """`failovers`: how often a node was told to take over. `departures`: each time that a node was told to be
    neither primary nor secondary, in words; a failover is two of them.
    """

    failovers: int
    departures: tuple[str, ...]


def last_event(ground: Ground, monitor: str) -> int:
    """The number of the monitor's last event. :raises HaError: when it cannot be asked."""
    return int(ground.run(monitor, f'{_PSQL} "{_LAST}"'))


def events_since(ground: Ground, monitor: str, last: int) -> list[Event]:
    """The monitor's events after one. :raises HaError: when it cannot be asked."""
    lines = ground.run(monitor, f'{_PSQL} "{_SINCE.format(last=last)}"').splitlines()
    return [Event(**json.loads(line)) for line in lines]


def decisions(events: Iterable[Event]) -> Decisions:
    """What the events of a pair that was healthy before them come to. Pure."""
    goals: dict[str, str] = {}
    failovers, departures = 0, []
    for event in events:
        before = goals.get(event.node)
        if event.goal == before:
            continue
        goals[event.node] = event.goal
        failovers += event.goal == PROMOTING
        if event.goal not in SETTLED and (before is None or before in SETTLED):
            departures.append(f"{event.node} to {event.goal}: {event.why}")
    return Decisions(failovers, tuple(departures))

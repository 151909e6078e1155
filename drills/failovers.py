"""What the failover monitor decided while a drill ran, from its own table of events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from drills.fault_injector import FaultInjector
from ops.postgres import MONITOR_DATABASE, psql_command

SETTLED = frozenset({"primary", "secondary"})
"""The states of a healthy pair."""
PROMOTING = "prepare_promotion"

_LAST = "select coalesce(max(eventid), 0) from pgautofailover.event"
_SINCE = (
    "select json_build_object('node', nodename, 'goal', goalstate, 'why', description) "
    "from pgautofailover.event where eventid > {last} order by eventid"
)


@dataclass(frozen=True)
class Event:
    """The monitor assigned the state `goal` to a node, or reported on it while that was its goal."""

    node: str
    goal: str
    why: str


@dataclass(frozen=True)
class Decisions:
    """`failovers`: how often a node was told to take over. `departures`: each time that a node was told to leave the
    states primary and secondary, in words; a failover is two of them.
    """

    failovers: int
    departures: tuple[str, ...]


def last_event(injector: FaultInjector, monitor: str) -> int:
    """The number of the monitor's last event. :raises HaError: when the monitor does not answer."""
    return int(injector.run(monitor, psql_command(MONITOR_DATABASE, _LAST)))


def events_since(injector: FaultInjector, monitor: str, last: int) -> list[Event]:
    """The monitor's events after number `last`. :raises HaError: when the monitor does not answer."""
    lines = injector.run(monitor, psql_command(MONITOR_DATABASE, _SINCE.format(last=last))).splitlines()
    return [Event(**json.loads(line)) for line in lines]


def decisions(events: Iterable[Event]) -> Decisions:
    """What the events say that was decided about a pair that was healthy before them. Pure."""
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

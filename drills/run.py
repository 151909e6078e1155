"""Runs a drill: load, fault, healing, redundancy again, the ledger."""

from __future__ import annotations

import contextlib
import fcntl
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drills import ledger
from drills.catalogue import Drill, scene_of
from drills.failovers import Decisions, decisions, events_since, last_event
from drills.faults import PG_AUTO_FAILOVER, Scene, Software, inflicted
from drills.ground import Ground
from drills.load import LoadPlan
from drills.measure import accepting, figures, timeline, two_primaries
from drills.pages import Pages, subscribed
from drills.probe import TABLE, Probe
from drills.promises import Measured, broken_by
from drills.results import Outcome, Timeline, bin_width_s, now, this_commit, this_machine
from drills.samples import WriteTry
from drills.tidy import tell_primary
from drills.visitors import Visitors, visiting
from ops.status import Status, status
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier

Say = Callable[[str], None]
WARM_WRITES = 30
WARM_S = 60.0
"""A database that has just come back, of another make above all, takes a while until all writes are prompt."""
WRITING_S = 2.0
"""Writes are through again when one was acknowledged so lately."""
QUIET_S = 1.0
QUIET_AT_MOST_S = 10.0
"""After healing nobody asks hosts how they are until a write of so much later is through: where all hosts are on one
machine, asking takes the processors from those who answer what has waited."""
AFTER_S = 2.0
"""Load goes on for so long after redundancy is back, to see that nothing is wrong with it."""
SPARE_S = 120.0
"""What injecting and healing may take themselves, such as a host's boot."""
POLL_S = 1.0
LOOK_S = 0.2
"""Between looks at the load, which cost the hosts nothing."""


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keeps a second drill away. :raises HaError: with exit code 2 while one runs."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HaError(
                "a drill is running already", where=str(lock), fix="wait for its end", exit_code=EXIT_USAGE
            ) from None
        yield


def healthy_status(ground: Ground) -> Status:
    """:raises HaError: with exit code 2 when the estate is not healthy."""
    seen = _status(ground)
    if not seen.healthy:
        raise HaError(
            f"the estate is not healthy, so no drill is run on it: {'; '.join(seen.problems)}",
            where=f"{seen.stack} on {seen.target}",
            fix="`ha --lab status` shows when it is",
            exit_code=EXIT_USAGE,
        )
    return seen


def healthy_within(ground: Ground, seconds: float) -> Status:
    """Waits for a healthy estate. :raises HaError: when it does not become one in time, saying what is wrong."""
    deadline = time.monotonic() + seconds
    while not (seen := _status(ground)).healthy:
        if time.monotonic() > deadline:
            raise HaError(
                f"not healthy within {seconds:g} s: {'; '.join(seen.problems)}",
                where=f"{seen.stack} on {seen.target}",
                fix="`ha status` shows what is wrong",
            )
        time.sleep(POLL_S)
    return seen


@dataclass(frozen=True)
class _Run:
    """What was recorded while load ran. Times are monotonic."""

    visitors: Visitors
    probe: Probe
    began: float
    healed: float
    ended: float
    redundant_again_s: float | None
    paged_s: float | None


def run(drill: Drill, ground: Ground, say: Say, software: Software = PG_AUTO_FAILOVER) -> Outcome:
    """Runs one drill on a healthy estate and heals what it broke, also when it is interrupted.

    :param software: what keeps its database.
    :raises HaError: with exit code 2, before anything is touched, when the estate is not healthy.
    """
    before = healthy_status(ground)
    scene = scene_of(drill, before, software)
    databases = [h.name for h in before.hosts if h.role == Tier.DB.role]
    prefix = f"drill-{uuid.uuid4().hex[:8]}-"
    plan = _plan(drill, ground, prefix)
    last = last_event(ground, scene.monitor) if software.unit == PG_AUTO_FAILOVER.unit else None
    with contextlib.ExitStack() as around:
        pages = around.enter_context(subscribed(ground, scene.primary)) if drill.promise.paged_s else None
        around.enter_context(_traces(ground, databases, scene.primary, prefix))
        probe = around.enter_context(Probe(ground, databases).running())
        with visiting(ground, plan) as visitors:
            recorded = _break_and_heal(drill, ground, scene, visitors, probe, pages, say)
        primary = _primary(ground)
        say("holding the ledger against the database")
        verdict = ledger.compare(visitors.samples, ledger.stored_titles(ground, primary, prefix))
    return _outcome(drill, ground, scene, recorded, primary, verdict, _decided(ground, scene.monitor, last))


def _decided(ground: Ground, monitor: str, last: int | None) -> Decisions | None:
    """What the failover monitor decided, where there is one that can be asked."""
    if last is not None:
        with contextlib.suppress(HaError):
            return decisions(events_since(ground, monitor, last))
    return None


def _plan(drill: Drill, ground: Ground, prefix: str) -> LoadPlan:
    host, port = ground.public_address
    secret = next(h.name for h in ground.settings.plan_hosts() if h.tier is Tier.APP)
    password = ground.run(secret, "/usr/local/sbin/ha-secret app/admin-password").strip()
    plan = LoadPlan(host=host, port=port, prefix=prefix, user="admin", password=password)
    seconds = WARM_S + max(drill.hold_s, drill.hold_at_most_s) + drill.redundant_within_s + SPARE_S
    requests = math.ceil(seconds * (plan.reads_per_s + plan.writes_per_s))
    return replace(plan, max_seconds=seconds, max_requests=requests)


@contextlib.contextmanager
def _traces(ground: Ground, databases: list[str], primary: str, prefix: str) -> Iterator[None]:
    """What a drill has in the database while it runs: the probe's table, and the rows of its visitors."""
    psql = "/usr/local/sbin/ha-postgres psql -Xq -d postgres"
    ground.run(primary, f"{psql} -c 'create table if not exists {TABLE} (n int)'")
    try:
        yield
    finally:
        tell_primary(ground, databases, "postgres", f"drop table if exists {TABLE}")
        tell_primary(ground, databases, ground.settings.database.name, ledger.forgetting(prefix))


def _break_and_heal(
    drill: Drill, ground: Ground, scene: Scene, visitors: Visitors, probe: Probe, pages: Pages | None, say: Say
) -> _Run:
    _await_load(visitors, probe.tries[scene.primary])
    say(f"{drill.name}: {drill.fault.name} on {', '.join(scene.targets) or drill.role}")
    began = time.monotonic()
    with inflicted(drill.fault, ground, scene, say):
        if not drill.fault.passing:
            _hold(
                began + drill.hold_s, lambda: pages is not None and pages.first(drill.promise.alert, began) is not None
            )
            _hold_until_writing(visitors, began + drill.hold_at_most_s)
    healed = time.monotonic()
    say(f"{drill.name}: healed, waiting for redundancy")
    _hold(healed + QUIET_AT_MOST_S, lambda: visitors.answered_from(healed + QUIET_S), LOOK_S)
    again = _await_redundancy(drill, ground, healed)
    time.sleep(AFTER_S)
    ended = time.monotonic()
    visitors.end()
    page = pages.first(drill.promise.alert, began) if pages else None
    paged_s = page.at - began if page else None
    return _Run(visitors, probe, began, healed, ended, again, paged_s)


def _hold(until: float, enough: Callable[[], bool], every_s: float = POLL_S) -> None:
    """Waits until that moment, or until there is enough of what is waited for."""
    while (left := until - time.monotonic()) > 0 and not enough():
        time.sleep(min(left, every_s))


def _hold_until_writing(visitors: Visitors, at_most: float) -> None:
    """Longer for an estate that has not coped with the fault by then."""
    _hold(at_most, lambda: visitors.wrote_within(WRITING_S), LOOK_S)


def _await_load(visitors: Visitors, on_primary: Sequence[WriteTry]) -> None:
    """Until visitors write, and the probe too: one that commits nothing would never see two primaries.

    :raises HaError: when one of them does not in time.
    """
    deadline = time.monotonic() + WARM_S
    while visitors.acknowledged < WARM_WRITES:
        if visitors.gone or time.monotonic() > deadline:
            last = visitors.samples[-1] if visitors.samples else None
            raise HaError(f"the load does not get through before anything is broken (last: {last})")
        time.sleep(0.1)
    while not any(one.accepted for one in on_primary):
        if time.monotonic() > deadline:
            raise HaError(
                f"the probe commits nothing on the primary before anything is broken ({len(on_primary)} tries)"
            )
        time.sleep(0.1)


def _await_redundancy(drill: Drill, ground: Ground, healed: float) -> float | None:
    """Seconds until the first of two looks in a row that find the estate healthy; one may be before the fall."""
    first: float | None = None
    while time.monotonic() < healed + drill.redundant_within_s:
        looked = time.monotonic()
        if not _status(ground).healthy:
            first = None
        elif first is not None:
            return first - healed
        else:
            first = looked
        time.sleep(POLL_S)
    return None


def _status(ground: Ground) -> Status:
    return status(ground.estate, [h.name for h in ground.settings.plan_hosts()])


def _primary(ground: Ground) -> str:
    seen = _status(ground)
    if seen.database.primary is None:
        raise HaError(
            "no primary that the ledger could be held against", where=seen.stack, fix="`ha status` says what is wrong"
        )
    return seen.database.primary


def _outcome(
    drill: Drill,
    ground: Ground,
    scene: Scene,
    seen: _Run,
    primary: str,
    verdict: ledger.Verdict,
    decided: Decisions | None,
) -> Outcome:
    during = [one for one in seen.visitors.samples if one.end >= seen.began]
    tries = seen.probe.tries
    seen_by_visitors = figures(during, seen.began, seen.ended)
    measured = Measured(
        figures=seen_by_visitors,
        lost=len(verdict.lost),
        doubled=len(verdict.doubled),
        two_primaries=two_primaries(tries),
        paged_s=seen.paged_s,
        failovers=decided.failovers if decided else None,
    )
    broken = broken_by(drill.promise, measured)
    if seen.redundant_again_s is None:
        broken.append(f"not redundant again within {drill.redundant_within_s:g} s")
    if not any(one.accepted and one.start >= seen.began for one in tries[primary]):
        broken.append(f"whether two nodes accepted writes is not known: the probe saw no commit on {primary}")
    return Outcome(
        fault=drill.name,
        target=", ".join(scene.targets) or str(drill.role),
        outage_s=round(seen_by_visitors.outage_s, 3),
        read_outage_s=round(seen_by_visitors.read_outage_s, 3),
        requests=seen_by_visitors.requests,
        failed=seen_by_visitors.failed,
        failed_reads=seen_by_visitors.failed_reads,
        failed_idempotent=seen_by_visitors.failed_idempotent,
        failures=seen_by_visitors.failures,
        last_failed_s=None if (late := seen_by_visitors.last_failed_s) is None else round(late, 3),
        max_latency_s=round(seen_by_visitors.max_latency_s, 3),
        acknowledged=verdict.acknowledged,
        lost=measured.lost,
        doubled=measured.doubled,
        unanswered=verdict.unanswered,
        two_primaries=measured.two_primaries,
        redundant_again_s=None if seen.redundant_again_s is None else round(seen.redundant_again_s, 1),
        held_s=None if drill.fault.passing else round(seen.healed - seen.began, 1),
        paged_s=None if seen.paged_s is None else round(seen.paged_s, 1),
        failovers=measured.failovers,
        departures=decided.departures if decided else None,
        promise=drill.promise.text,
        kept=not broken,
        broken=tuple(broken),
        stack=ground.estate.stack,
        at=now(),
        commit=this_commit(),
        machine=this_machine(),
        timers=ground.settings.timers.model_dump(),
        timeline=_timeline(seen),
    )


def _timeline(seen: _Run) -> Timeline:
    width_s = bin_width_s(seen.ended - seen.began)
    bins = timeline(seen.visitors.samples, seen.began, seen.ended, width_s)
    spans = {
        host: tuple((round(s.begin - seen.began, 2), round(s.end - seen.began, 2)) for s in accepting(list(tries)))
        for host, tries in seen.probe.tries.items()
    }
    return Timeline(
        bin_s=width_s,
        good=tuple(b.good for b in bins),
        failed=tuple(b.failed for b in bins),
        max_latency_s=tuple(round(b.max_latency_s, 2) for b in bins),
        accepting=spans,
        healed_s=round(seen.healed - seen.began, 2),
    )

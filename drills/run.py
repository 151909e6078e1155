"""Runs a drill: load, fault, healing, redundancy again, the ledger."""

from __future__ import annotations

import contextlib
import fcntl
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import EXIT_USAGE, HaError
from components.tiers import Tier
from drills import ledger
from drills.catalogue import Drill, scene_of
from drills.faults import Scene, inflicted
from drills.ground import Ground
from drills.load import LoadPlan
from drills.measure import Figures, accepting, figures, timeline, two_primaries
from drills.probe import TABLE, Probe
from drills.promises import broken_by
from drills.results import BIN_S, Outcome, Timeline, now, this_commit, this_machine
from drills.visitors import Visitors, visiting
from ops.status import Status, status

Say = Callable[[str], None]
WARM_WRITES = 30
WARM_S = 20.0
AFTER_S = 2.0
"""Load goes on for so long after redundancy is back, to see that nothing is wrong with it."""
POLL_S = 1.0


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
            fix="`ha status` shows when it is",
            exit_code=EXIT_USAGE,
        )
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


def run(drill: Drill, ground: Ground, say: Say) -> Outcome:
    """Runs one drill on a healthy estate and heals what it broke, also when it is interrupted.

    :raises HaError: with exit code 2, before anything is touched, when the estate is not healthy.
    """
    before = healthy_status(ground)
    scene = scene_of(drill, before)
    databases = [h.name for h in before.hosts if h.role == Tier.DB.role]
    prefix = f"drill-{uuid.uuid4().hex[:8]}-"
    plan = _plan(ground, prefix)
    with _probe_table(ground, scene.primary, databases), Probe(ground, databases).running() as probe:
        with visiting(ground, plan) as visitors:
            recorded = _break_and_heal(drill, ground, scene, visitors, probe, say)
        primary = _primary(ground)
        say("holding the ledger against the database")
        verdict = ledger.compare(visitors.samples, ledger.stored_titles(ground, primary, prefix))
        ledger.forget(ground, primary, prefix)
    return _outcome(drill, ground, scene, recorded, verdict)


def _plan(ground: Ground, prefix: str) -> LoadPlan:
    host, port = ground.public_address
    secret = next(h.name for h in ground.settings.plan_hosts() if h.tier is Tier.APP)
    password = ground.run(secret, "/usr/local/sbin/ha-secret app/admin-password").strip()
    return LoadPlan(host=host, port=port, prefix=prefix, user="admin", password=password)


@contextlib.contextmanager
def _probe_table(ground: Ground, primary: str, databases: list[str]) -> Iterator[None]:
    psql = "/usr/local/sbin/ha-postgres psql -Xq -d postgres -c"
    ground.run(primary, f"{psql} 'create table if not exists {TABLE} (n int)'")
    try:
        yield
    finally:
        # Who the primary is now is not asked: on the others it fails and does no harm.
        for host in databases:
            with contextlib.suppress(HaError):
                ground.run(host, f"timeout 10 {psql} 'drop table if exists {TABLE}'", check=False)


def _break_and_heal(drill: Drill, ground: Ground, scene: Scene, visitors: Visitors, probe: Probe, say: Say) -> _Run:
    _await_load(visitors)
    say(f"{drill.name}: {drill.fault.name} on {', '.join(scene.targets) or drill.role}")
    began = time.monotonic()
    with inflicted(drill.fault, ground, scene):
        if not drill.fault.passing:
            time.sleep(max(0.0, began + drill.hold_s - time.monotonic()))
    healed = time.monotonic()
    say(f"{drill.name}: healed, waiting for redundancy")
    again = _await_redundancy(drill, ground, healed)
    time.sleep(AFTER_S)
    ended = time.monotonic()
    visitors.end()
    return _Run(visitors, probe, began, healed, ended, again)


def _await_load(visitors: Visitors) -> None:
    deadline = time.monotonic() + WARM_S
    while visitors.acknowledged < WARM_WRITES:
        if visitors.gone or time.monotonic() > deadline:
            last = visitors.samples[-1] if visitors.samples else None
            raise HaError(f"the load does not get through before anything is broken (last: {last})")
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


@dataclass(frozen=True)
class _Measured:
    figures: Figures
    lost: int
    doubled: int
    two_primaries: bool

    @property
    def outage_s(self) -> float:
        return self.figures.outage_s

    @property
    def failed(self) -> int:
        return self.figures.failed

    @property
    def failed_idempotent(self) -> int:
        return self.figures.failed_idempotent

    @property
    def max_latency_s(self) -> float:
        return self.figures.max_latency_s


def _outcome(drill: Drill, ground: Ground, scene: Scene, seen: _Run, verdict: ledger.Verdict) -> Outcome:
    during = [one for one in seen.visitors.samples if one.end >= seen.began]
    tries = seen.probe.tries
    measured = _Measured(
        figures(during, seen.began, seen.ended), len(verdict.lost), len(verdict.doubled), two_primaries(tries)
    )
    broken = broken_by(drill.promise, measured)
    if seen.redundant_again_s is None:
        broken.append(f"not redundant again within {drill.redundant_within_s:g} s")
    return Outcome(
        fault=drill.name,
        target=", ".join(scene.targets) or str(drill.role),
        outage_s=round(measured.outage_s, 3),
        read_outage_s=round(measured.figures.read_outage_s, 3),
        requests=measured.figures.requests,
        failed=measured.failed,
        failed_reads=measured.figures.failed_reads,
        failed_idempotent=measured.failed_idempotent,
        max_latency_s=round(measured.max_latency_s, 3),
        acknowledged=verdict.acknowledged,
        lost=measured.lost,
        doubled=measured.doubled,
        unanswered=verdict.unanswered,
        two_primaries=measured.two_primaries,
        redundant_again_s=None if seen.redundant_again_s is None else round(seen.redundant_again_s, 1),
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
    bins = timeline(seen.visitors.samples, seen.began, seen.ended, BIN_S)
    spans = {
        host: tuple((round(s.begin - seen.began, 2), round(s.end - seen.began, 2)) for s in accepting(list(tries)))
        for host, tries in seen.probe.tries.items()
    }
    return Timeline(
        bin_s=BIN_S,
        good=tuple(b.good for b in bins),
        failed=tuple(b.failed for b in bins),
        max_latency_s=tuple(round(b.max_latency_s, 2) for b in bins),
        accepting=spans,
        healed_s=round(seen.healed - seen.began, 2),
    )

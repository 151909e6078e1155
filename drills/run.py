"""Runs one drill: load, fault, change or recovery, healing, redundancy, then the ledger."""

from __future__ import annotations

import contextlib
import fcntl
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from drills import ledger
from drills.alerts import AlertInbox, alert_subscription
from drills.catalogue import Drill, targets_of
from drills.change_run import ChangeDrill
from drills.failovers import Decisions, decisions, events_since, last_event
from drills.fault_injector import FaultInjector
from drills.faults import PG_AUTO_FAILOVER, Software, Targets, injected
from drills.load import LoadPlan
from drills.load_process import LoadProcess, running_load
from drills.measure import accepting, figures, timeline, two_primaries
from drills.primary import primary_of, run_on_primary
from drills.probe import TABLE, Probe
from drills.promises import Measured, broken_by
from drills.recovery_run import RECOVERIES, RecoveryDrill
from drills.results import ChangeRun, Outcome, RecoveryRun, Timeline, bin_width_s, now, this_commit, this_machine
from drills.samples import Sample, WriteAttempt
from ops.postgres import ADMIN_DATABASE, psql_command
from ops.status import Status, await_healthy, status
from ops.switchover import Say
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier

WARM_WRITES = 30
WARM_S = 60.0
"""A database that has just started, with other software above all, is slow to answer for a while."""
WRITING_S = 2.0
"""The estate writes again when a write was acknowledged in so many seconds."""
QUIET_S = 1.0
QUIET_AT_MOST_S = 10.0
"""After the healing, the status of hosts is asked only when a write of `QUIET_S` later was acknowledged. On one machine
the question takes processor time from the hosts that answer the requests that waited."""
AFTER_S = 2.0
"""The load goes on for this long after redundancy is back, so that a late failure is seen."""
SETTLES_S = 20.0
"""A host's one late answer is no reason to refuse a drill: an estate that is healthy is seen so within this."""
SPARE_S = 120.0
"""What the injection and the healing themselves may take, such as a host's boot."""
CHANGES_S = 1500.0
"""What both updates of a change drill may take: hosts one by one, and gates that wait until a bad change is undone."""
RECOVERY_S = 1500.0
"""What backups and a restore may take: a host that boots, one backup that waits for another, the archive's holes."""
POLL_S = 1.0
POLL_LOAD_S = 0.2
"""To look at the load costs the hosts nothing."""


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Holds the lock of a lab's drills during the block.

    :raises HaError: with exit code 2 when another drill holds it.
    """
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HaError(
                "another drill is running in this lab",
                where=str(path),
                fix="wait until it ends, or interrupt it with Ctrl-C",
                exit_code=EXIT_USAGE,
            ) from None
        yield


def healthy_status(injector: FaultInjector) -> Status:
    """The status of a healthy estate. :raises HaError: with exit code 2 when it is not healthy within `SETTLES_S`."""
    try:
        return healthy_within(injector, SETTLES_S)
    except HaError as unhealthy:
        raise HaError(
            f"no drill is run: {unhealthy.what}", where=unhealthy.where, fix=unhealthy.fix, exit_code=EXIT_USAGE
        ) from None


def healthy_within(injector: FaultInjector, seconds: float) -> Status:
    """Waits until the estate is healthy. :raises HaError: when it is not within `seconds`, with what is wrong."""
    seen = await_healthy(injector.estate, _planned(injector), deadline_s=seconds)
    if not seen.healthy:
        raise HaError(
            f"the estate is not healthy within {seconds:g} s: {'; '.join(seen.problems)}",
            where=f"{seen.stack} on {seen.target}",
            fix="`ha --lab status` shows what is wrong",
        )
    return seen


@dataclass(frozen=True)
class Recording:
    """What was recorded while the load ran. Moments are monotonic."""

    samples: Sequence[Sample]
    attempts: Mapping[str, Sequence[WriteAttempt]]
    began: float
    healed: float
    ended: float
    redundant_again_s: float | None
    paged_s: float | None
    change: ChangeRun | None = None
    unmet: Sequence[str] = ()
    """What was not as expected of a change or a recovery."""
    recovery: RecoveryRun | None = None


def run(drill: Drill, injector: FaultInjector, say: Say, software: Software = PG_AUTO_FAILOVER) -> Outcome:
    """Runs one drill on a healthy estate. A fault is healed, and a change undone, also when the drill is interrupted.

    :param software: what manages the database pair.
    :raises HaError: with exit code 2, before anything is broken, when the estate is not healthy.
    """
    before = healthy_status(injector)
    targets = targets_of(drill, before, software)
    databases = [h.name for h in before.hosts if h.role == Tier.DB.role]
    prefix = f"drill-{uuid.uuid4().hex[:8]}-"
    plan = _plan(drill, injector, prefix)
    last = last_event(injector, targets.monitor) if software.unit == PG_AUTO_FAILOVER.unit else None
    with contextlib.ExitStack() as around:
        inbox = None
        if drill.promise.paged_s is not None:
            inbox = around.enter_context(alert_subscription(injector, targets.primary))
        around.enter_context(_drill_tables(injector, databases, targets.primary, prefix))
        probe = around.enter_context(Probe(injector, databases).running())
        with running_load(injector, plan) as load:
            acts = RECOVERIES[drill.recovery](drill, injector, targets, load, prefix, say) if drill.recovery else None
            recording = _break_and_heal(drill, injector, targets, load, probe, inbox, acts, say)
        primary = primary_of(injector)
        say("comparing the ledger with the database")
        stored = ledger.stored_titles(injector, primary, prefix)
        verdict = ledger.compare(load.samples, stored, since=acts.compared_since if acts else -math.inf)
    return outcome_of(drill, targets, recording, primary, verdict, _decided(injector, targets.monitor, last), injector)


def _decided(injector: FaultInjector, monitor: str, last: int | None) -> Decisions | None:
    """What the failover monitor decided after event `last`; None when it does not answer, or when there is none."""
    if last is not None:
        with contextlib.suppress(HaError):
            return decisions(events_since(injector, monitor, last))
    return None


def _plan(drill: Drill, injector: FaultInjector, prefix: str) -> LoadPlan:
    host, port = injector.public_address
    application = next(h.name for h in injector.settings.plan_hosts() if h.tier is Tier.APP)
    password = injector.run(application, "/usr/local/sbin/ha-secret app/admin-password").strip()
    plan = LoadPlan(host=host, port=port, prefix=prefix, user="admin", password=password)
    seconds = WARM_S + max(drill.hold_s, drill.hold_at_most_s) + drill.redundant_within_s + SPARE_S
    seconds += CHANGES_S if drill.change else RECOVERY_S if drill.recovery else 0
    requests = math.ceil(seconds * (plan.reads_per_s + plan.writes_per_s))
    return replace(plan, max_seconds=seconds, max_requests=requests)


@contextlib.contextmanager
def _drill_tables(injector: FaultInjector, databases: list[str], primary: str, prefix: str) -> Iterator[None]:
    """The probe's table during the block. After it neither the table nor the rows of the load are left."""
    injector.run(primary, psql_command(ADMIN_DATABASE, f"create table if not exists {TABLE} (n int)"))
    try:
        yield
    finally:
        run_on_primary(injector, databases, ADMIN_DATABASE, f"drop table if exists {TABLE}")
        run_on_primary(injector, databases, injector.settings.database.name, ledger.delete_statement(prefix))


def _break_and_heal(
    drill: Drill,
    injector: FaultInjector,
    targets: Targets,
    load: LoadProcess,
    probe: Probe,
    inbox: AlertInbox | None,
    acts: RecoveryDrill | None,
    say: Say,
) -> Recording:
    _wait_for_writes(load, probe.attempts[targets.primary])
    began = time.monotonic()

    def paged_s() -> float | None:
        message = inbox.first_firing(drill.promise.alert, began) if inbox else None
        return None if message is None else message.received_at - began

    change, recovery, unmet = None, None, list[str]()
    if acts is not None:
        began = acts.harm()
    elif drill.change is not None:
        say(f"{drill.name}: applying the change")
        change, unmet = ChangeDrill(drill, drill.change, injector, targets, say).run()
    else:
        say(f"{drill.name}: injecting {drill.fault.name} on {', '.join(targets.hosts) or drill.role}")
        with injected(drill.fault, injector, targets, say):
            if not drill.fault.instantaneous:
                _wait_until(began + drill.hold_s, lambda: paged_s() is not None)
                wait_for_a_write(load, began + drill.hold_at_most_s)
    healed = time.monotonic()
    say(f"{drill.name}: healed, waiting for redundancy")
    _wait_until(
        healed + QUIET_AT_MOST_S, lambda: load.write_acknowledged_that_began_after(healed + QUIET_S), POLL_LOAD_S
    )
    redundant_again_s = _await_redundancy(drill, injector, healed)
    if acts is not None:
        recovery, unmet = acts.recover(healed)
    time.sleep(AFTER_S)
    longest_s = CHANGES_S if drill.change else RECOVERY_S if drill.recovery else None
    if longest_s is not None and load.has_ended:
        raise HaError(f"the load ended before the drill did: it took over {longest_s:g} s", where="the load")
    ended = time.monotonic()
    load.end()
    return Recording(
        load.samples, probe.attempts, began, healed, ended, redundant_again_s, paged_s(), change, tuple(unmet), recovery
    )


def _wait_until(moment: float, done: Callable[[], bool], every_s: float = POLL_S) -> None:
    """Waits until that moment, or until `done` is true."""
    while (left := moment - time.monotonic()) > 0 and not done():
        time.sleep(min(left, every_s))


def wait_for_a_write(load: LoadProcess, at_most: float) -> None:
    """Waits, at most until that moment, until the estate writes again."""
    _wait_until(at_most, lambda: load.write_acknowledged_within(WRITING_S), POLL_LOAD_S)


def _wait_for_writes(load: LoadProcess, on_primary: Sequence[WriteAttempt]) -> None:
    """Waits until the load writes, and the probe too: one that commits nothing would never see two primaries.

    :raises HaError: when one of them does not within `WARM_S`.
    """
    deadline = time.monotonic() + WARM_S
    while load.acknowledged < WARM_WRITES:
        if load.has_ended or time.monotonic() > deadline:
            last = load.samples[-1] if load.samples else None
            raise HaError(
                f"{load.acknowledged} writes were acknowledged in {WARM_S:g} s, too few to begin; last request: {last}",
                where="the load",
                fix="`ha --lab status` shows what is wrong",
            )
        time.sleep(0.1)
    while not any(one.accepted for one in on_primary):
        if time.monotonic() > deadline:
            raise HaError(
                f"none of {len(on_primary)} attempts to write on the primary was accepted before the fault",
                where="the probe",
                fix="`ha --lab status` shows what is wrong",
            )
        time.sleep(0.1)


def _await_redundancy(drill: Drill, injector: FaultInjector, healed: float) -> float | None:
    """Seconds until the estate was healthy twice in a row: the first time may be before its state falls."""
    first: float | None = None
    while time.monotonic() < healed + drill.redundant_within_s:
        asked = time.monotonic()
        if not _status(injector).healthy:
            first = None
        elif first is not None:
            return round(first - healed, 1)
        else:
            first = asked
        time.sleep(POLL_S)
    return None


def _status(injector: FaultInjector) -> Status:
    return status(injector.estate, _planned(injector))


def _planned(injector: FaultInjector) -> list[str]:
    return [host.name for host in injector.settings.plan_hosts()]


def provenance(drill: Drill, injector: FaultInjector) -> dict[str, Any]:
    """What a result says of its run: the drill, the stack, the time, the commit, the machine, the timers."""
    return {
        "fault": drill.name,
        "stack": injector.estate.stack,
        "at": now(),
        "commit": this_commit(),
        "machine": this_machine(),
        "timers": injector.settings.timers.model_dump(),
    }


def outcome_of(
    drill: Drill,
    targets: Targets,
    recording: Recording,
    primary: str,
    verdict: ledger.Verdict,
    decided: Decisions | None,
    injector: FaultInjector,
) -> Outcome:
    """The result of a run. Fields of `Measured` have the names that they have in an outcome."""
    during = [one for one in recording.samples if one.end >= recording.began]
    measured = Measured(
        **asdict(figures(during, recording.began, recording.ended)),
        lost=len(verdict.lost),
        doubled=len(verdict.doubled),
        two_primaries=two_primaries(recording.attempts),
        paged_s=recording.paged_s,
        failovers=decided.failovers if decided else None,
    )
    broken = [*broken_by(drill.promise, measured), *recording.unmet]
    if recording.redundant_again_s is None:
        broken.append(f"not redundant again within {drill.redundant_within_s:g} s")
    if not any(one.accepted and one.start >= recording.began for one in recording.attempts[primary]):
        broken.append(f"two primaries cannot be ruled out: the probe saw no commit on {primary} after the fault")
    return Outcome.model_validate(
        {
            **provenance(drill, injector),
            **_rounded(asdict(measured)),
            "target": ", ".join(recording.change.applied.touched if recording.change else targets.hosts)
            or str(drill.role),
            "acknowledged": verdict.acknowledged,
            "unanswered": verdict.unanswered,
            "departures": decided.departures if decided else None,
            "redundant_again_s": recording.redundant_again_s,
            "change": recording.change,
            "recovery": recording.recovery,
            "held_s": None
            if drill.fault.instantaneous and not drill.change
            else round(recording.healed - recording.began, 1),
            "promise": drill.promise.text,
            "kept": not broken,
            "broken": tuple(broken),
            "timeline": _timeline(recording),
        }
    )


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Seconds to the millisecond."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def _timeline(recording: Recording) -> Timeline:
    began = recording.began
    width_s = bin_width_s(recording.ended - began)
    bins = timeline(recording.samples, began, recording.ended, width_s)
    return Timeline(
        bin_s=width_s,
        good=tuple(b.good for b in bins),
        failed=tuple(b.failed for b in bins),
        max_latency_s=tuple(round(b.max_latency_s, 2) for b in bins),
        accepting={
            host: tuple((round(s.begin - began, 2), round(s.end - began, 2)) for s in accepting(attempts))
            for host, attempts in recording.attempts.items()
        },
        healed_s=round(recording.healed - began, 2),
    )

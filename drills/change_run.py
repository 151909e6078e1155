"""Applies a change to the running estate as a user does, then this checkout again; and says what the hosts did."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from drills.catalogue import Drill
from drills.changes import Change, Expected, changed_program
from drills.deferred_signals import defer_signals
from drills.fault_injector import FaultInjector
from drills.faults import NO_FAULT, Fault, Targets
from drills.results import ChangeRun, Update
from lab.boot import engine_of
from lab.engine import Event, Message, OnEvent
from ops import lease, objects, record
from ops.record import HostProgress
from ops.runs import Runs
from ops.scope import scope_of
from ops.status import observe
from ops.switchover import Say
from spec.errors import HaError
from spec.pointer import Pointer
from spec.project import REPOSITORY
from spec.tiers import Tier

_MARK: Final = "cat /proc/sys/kernel/random/boot_id; stat -c '%i %.9Y' /run/ha/change.json 2>/dev/null || true"
"""Prints something else after each boot, and after each change that the host was told to apply."""
_LONGEST = 4000
_MOST_LINES = 200


@dataclass(frozen=True)
class HostState:
    """What a host runs. `mark` is another one after the host was touched: told to change, or booted."""

    tier: Tier
    runs: Runs
    mark: str


@dataclass(frozen=True)
class Snapshot:
    """What each tier's pointer says, and what each host runs."""

    pointers: Mapping[Tier, Pointer]
    hosts: Mapping[str, HostState]

    def touched_since(self, before: Snapshot) -> tuple[str, ...]:
        """The hosts that were told to change since, or that booted; those that are new or gone too."""
        names = sorted(self.hosts.keys() | before.hosts.keys())
        return tuple(name for name in names if not self._mark(name) or self._mark(name) != before._mark(name))

    def _mark(self, host: str) -> str:
        return self.hosts[host].mark if host in self.hosts else ""

    def not_settled_on(self, pointers: Mapping[Tier, Pointer]) -> list[str]:
        return sorted(name for name, host in self.hosts.items() if not host.runs.settled_on(pointers[host.tier]))


def unmet(change: Change, before: Snapshot, after: Snapshot, at_end: Snapshot, run: ChangeRun) -> list[str]:
    """What is not as expected, a sentence each. Pure.

    :param after: the estate after the `up` of the change; `at_end`: after that of the checkout.
    """
    applied, returned = run.applied, run.returned
    found: list[str] = []
    moved = {tier for tier in Tier if after.pointers[tier] != before.pointers[tier]}
    strange = [host for host in applied.touched if host in before.hosts and before.hosts[host].tier not in change.tiers]
    if strange:
        found.append(f"{', '.join(strange)}: not of a changed tier, and touched")
    match change.expected:
        case Expected.APPLIED:
            found += _not_applied(change, after, applied, moved)
        case Expected.REFUSED:
            found += _not_refused(change, before, after, applied, moved)
            if returned.touched:
                found.append(f"{', '.join(returned.touched)}: touched by the next `up`, though nothing had changed")
        case Expected.INTERRUPTED if not applied.error:
            found.append("`up` was not killed in the middle")
        case Expected.SETTLED:
            wanted = before if applied.error else after
            found += _others(after, wanted.pointers, "the change")
    if returned.error:
        found.append(f"the next `up` failed: {_in_short(returned.error)}")
    if any(at_end.pointers[tier] != before.pointers[tier] for tier in Tier):
        found.append("the pointers are not those of before the change")
    return [*found, *_others(at_end, before.pointers, "the next `up`")]


def _not_applied(change: Change, after: Snapshot, applied: Update, moved: Collection[Tier]) -> Iterator[str]:
    if applied.error:
        yield f"`up` failed: {_in_short(applied.error)}"
    elif moved != set(change.tiers):
        yield f"the pointers of {_named(moved)} changed, not of {_named(change.tiers)}"
    yield from _others(after, after.pointers, "the change")


def _not_refused(
    change: Change, before: Snapshot, after: Snapshot, applied: Update, moved: Collection[Tier]
) -> Iterator[str]:
    if not applied.error:
        yield "`up` accepted the change"
    if moved:
        yield f"the pointers of {_named(moved)} changed"
    if len(applied.touched) != 1:
        yield f"touched were {', '.join(applied.touched) or 'no hosts'}, not the first host alone"
    if applied.error and not all(re.search(rf"\b{name}\b", applied.error) for name in applied.touched):
        yield f"`up` does not name {', '.join(applied.touched)}: {_in_short(applied.error)}"
    if applied.error and not re.search(change.reason, applied.error, re.DOTALL):
        yield f"`up` does not say why: {_in_short(applied.error)}"
    yield from _others(after, before.pointers, "the change")


def _others(estate: Snapshot, pointers: Mapping[Tier, Pointer], when: str) -> Iterator[str]:
    if others := estate.not_settled_on(pointers):
        yield f"after {when} something else runs on {', '.join(others)} than should"


def _named(tiers: Collection[Tier]) -> str:
    return ", ".join(sorted(tiers)) or "no tier"


def _in_short(text: str) -> str:
    """The first lines: the engine's very first one says only that the update failed."""
    return " ".join(text.split("\n")[:3])[:400]


@dataclass(frozen=True)
class MidChange:
    """A fault that is injected when the first host of a tier has the change, and healed `hold_s` later.

    The engine is heard in one thread and the fault is healed in another, because the change goes on meanwhile.
    """

    fault: Fault
    hold_s: float
    injector: FaultInjector
    targets: Targets
    first_host_has_it: Callable[[], bool]
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), init=False)
    _healing: list[Future[None]] = field(default_factory=list, init=False)
    injected: threading.Event = field(default_factory=threading.Event, init=False)

    def __call__(self, event: Event) -> None:
        """With each event of the engine."""
        if isinstance(event, Message) and not self._healing and self.first_host_has_it():
            self._healing.append(self._pool.submit(self._hold_and_heal))
            self.fault.inject(self.injector, self.targets)
            self.injected.set()

    def _hold_and_heal(self) -> None:
        if not self.fault.instantaneous:
            self._over.wait(self.hold_s)
            self.fault.heal(self.injector, self.targets)

    @contextlib.contextmanager
    def watching(self) -> Iterator[MidChange]:
        """The block is the change. The fault is healed at its end, at once when it ends by an interrupt."""
        try:
            yield self
        except BaseException:
            self._over.set()
            raise
        finally:
            for healing in self._healing:
                healing.result()
            self._pool.shutdown()


@dataclass(frozen=True)
class ChangeDrill:
    """One run of a change drill on a healthy estate that runs this checkout."""

    drill: Drill
    change: Change
    injector: FaultInjector
    targets: Targets
    say: Say

    @cached_property
    def _s3(self) -> Any:
        return self.injector.estate.client("s3")

    @cached_property
    def _bucket(self) -> str:
        return scope_of(self.injector.estate, self.injector.settings).artifact_bucket

    def run(self) -> tuple[ChangeRun, list[str]]:
        """Applies the change, lets the estate run with it for a while, and applies this checkout again, also when it is
        interrupted: a signal ends the first part, and waits in the second. Returns what was not as expected, too.

        :raises HaError: when there was no middle of the change to inject the fault in.
        """
        with changed_program(self.change) as program, defer_signals() as signals:
            before = self._snapshot()
            applied: Update | None = None
            try:
                with signals.delivered():
                    applied, after = self._apply(program, before)
                    if self.drill.fault is NO_FAULT:
                        time.sleep(self.drill.hold_s)
            finally:
                if signals.received:
                    self.say("interrupted: applying this checkout again first")
                if applied is None or self.change.expected is Expected.INTERRUPTED:
                    self._unlock()
                returned, at_end = self._up(REPOSITORY, before if applied is None else after, lambda _: None)
                if returned.error:
                    self.say(f"this checkout is not applied again: {_in_short(returned.error)}")
        run = ChangeRun(applied=applied, returned=returned)
        return run, unmet(self.change, before, after, at_end, run)

    def _apply(self, program: Path, before: Snapshot) -> tuple[Update, Snapshot]:
        if self.drill.fault is NO_FAULT:
            return self._up(program, before, lambda _: None)
        mid = MidChange(self.drill.fault, self.drill.hold_s, self.injector, self.targets, self._first_host_has_it)
        with mid.watching():
            done = self._up(program, before, mid)
        if not mid.injected.is_set():
            raise HaError(
                f"{self.drill.fault.name} was not injected, because the change ended before its first host had it: "
                f"{_in_short(done[0].error) or 'it succeeded'}",
                where=self.drill.name,
            )
        return done

    def _first_host_has_it(self) -> bool:
        last = record.read(self._s3, self._bucket, self.change.tiers[0])
        return last is not None and last.open and HostProgress.CONFIRMED in last.hosts.values()

    def _up(self, program: Path, before: Snapshot, on_event: OnEvent) -> tuple[Update, Snapshot]:
        """An `up` of a program, and the estate after it. Its failure is a result."""
        said: list[str] = []
        error = ""

        def hear(event: Event) -> None:
            if isinstance(event, Message) and event.severity == "info":
                said.append(event.text)
                self.say(event.text)
            on_event(event)

        began = time.monotonic()
        try:
            engine_of(self.injector.lab, program).up(self.injector.estate.stack, hear)
        except HaError as failed:
            error = str(failed)[:_LONGEST]
        seconds = round(time.monotonic() - began, 1)
        after = self._snapshot()
        touched = after.touched_since(before)
        return Update(seconds=seconds, error=error, touched=touched, said=tuple(said[-_MOST_LINES:])), after

    def _unlock(self) -> None:
        """As a user does whose engine was killed: `ha unlock`."""
        seen = lease.look(self._s3, self._bucket)
        if seen.held:
            self.say("freeing the lease of the engine that was killed")
            lease.free(self._s3, self._bucket, seen)

    def _snapshot(self) -> Snapshot:
        pointers = {}
        for tier in Tier:
            stored = objects.read(self._s3, self._bucket, Pointer.key(tier))
            where = objects.url(self._bucket, Pointer.key(tier))
            pointers[tier] = Pointer.from_json(stored.body or b"", where=where)
        hosts = {
            one.instance.host: HostState(one.instance.tier, one.runs, self._mark(one.instance.host))
            for one in observe(self.injector.estate)
        }
        return Snapshot(pointers, hosts)

    def _mark(self, host: str) -> str:
        try:
            return self.injector.run(host, _MARK)
        except HaError:  # it is off
            return ""

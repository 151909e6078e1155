"""Rolls a bundle and a release out to the hosts of a tier: one at a time, and back if one of them does not take it.

A host applies a change in a unit of its own, which goes back unless the roll-out confirms it in time (`ha-bundle`). So
a roll-out that ends at any point leaves each host on the old version or, if it passed its gate, on the new one. The
record says which; while it is open the next `up` settles them all (`ops.record`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ops import host_bundle, record
from ops.estate import CommandFailed, Estate
from ops.lease import Lease, LeaseLost
from ops.prune import prune
from ops.record import HostProgress, RollOutRecord
from ops.status import SETTLES_S, Observation, Status, observe, status, trouble_of
from ops.switchover import Say
from ops.troubles import troubles
from spec.errors import HaError
from spec.overrides import GATES
from spec.pointer import Pointer
from spec.tiers import Tier

GATE_S: Final = 60
"""How long a changed host may take until it is healthy, as its neighbours see it too."""
CONFIRM_WITHIN_S: Final = GATE_S + 120
"""The host goes back by itself after this: longer than the gate, so that the roll-out decides while it can."""
_POLL_S = 1.0
_UNFINISHED = frozenset(["applying", "applied", "going back"])
_UNSETTLED = _UNFINISHED | {"failed"}
"""A change that failed, and going back too: the files are in place, but the set-up did not end."""


@dataclass(kw_only=True)
class RollOut:
    """One roll-out. `before` is what the pointer says, `settles` its new input of that name.

    `planned`: the hosts in the settings; one that is on its way out is not touched.
    `without`: hosts that are down and may be left out; they take the version when they boot.
    """

    estate: Estate
    s3: Any
    bucket: str
    lease: Lease
    tier: Tier
    before: Pointer
    to: Pointer
    settles: int
    say: Say
    planned: Collection[str]
    without: Collection[str] = ()
    passed: Callable[[str], None] | None = None
    """Records that a gate was passed, where the operator lets gates pass; else None."""
    _record: RollOutRecord | None = field(default=None, init=False)
    _installs: set[str] = field(default_factory=set, init=False)
    """Those that lack packages."""
    _hosts: list[Observation] = field(default_factory=list, init=False)
    """The tier's hosts that are up, as they were at the start."""

    def run(self) -> None:
        """Every host of the tier runs `to` afterwards, or what it ran before.

        :raises HaError: naming the host and the reason. Hosts that were changed are back, others were not touched;
            where that failed too, it says so, and the record stays open.
        """
        self.lease.take()
        seen = self._observe()
        self._hosts = self._present(seen)
        self._end_unfinished()
        behind = [host for host in self._hosts if _was_ready(host) and not _runs(host, self.to)]
        new = [host for host in self._hosts if not _was_ready(host) and host.runs.placed != self.to]
        for one in new:
            self.say(f"{one.instance.host} never was ready: it boots with {self.to} when the pointer is written")
        last = record.read(self.s3, self.bucket, self.tier)
        if last is not None and last.open:
            self.say(f"{self.tier}: a roll-out of {last.to} did not end: every host gets {self.to}")
        if behind or new or (last is not None and last.open):
            self._check_hosts(behind)
            # To close a record needs no healthy estate: what repairs it may be a host that this `up` makes later.
            at_start = self._await_quiet([one.instance.host for one in behind]) if behind else None
            self._open(last)
            if at_start is not None:
                self._change_all(self._in_order(behind, at_start), troubles(at_start))
            self._ask_again()
        self.say(f"{self.tier}: every host runs {self.to}")

    # --- before the first host

    def _observe(self) -> list[Observation]:
        return [one for one in observe(self.estate, [self.tier]) if one.instance.host in self.planned]

    def _present(self, seen: Sequence[Observation]) -> list[Observation]:
        """The hosts that are up. :raises HaError: when one is down that was not to be left out."""
        down = [one for one in seen if one.report is None and one.instance.host not in self.without]
        if down:
            names = ",".join(one.instance.host for one in down)
            raise HaError(
                "nothing was changed: " + "; ".join(f"{one.instance.host} is down ({one.silence})" for one in down),
                where=f"roll-out of {self.to} to {self.tier}",
                fix=f"start it, or leave it out: HA_WITHOUT={names} (it takes the change when it boots)",
            )
        for one in seen:
            if one.report is None:
                self.say(f"{one.instance.host} is down and left out: it takes {self.to} when it boots")
        return [one for one in seen if one.report is not None]

    def _end_unfinished(self) -> None:
        """A change that an earlier roll-out left unconfirmed goes back now, not when its time is over."""
        for one in self._hosts:
            if one.runs.change in _UNFINISHED:
                self.say(f"{one.instance.host}: an unconfirmed change of an earlier roll-out goes back")
                host_bundle.back(self.estate, one.instance, setup_s=self._setup_s(one))
        if any(one.runs.change in _UNFINISHED for one in self._hosts):
            self._hosts = self._present(self._observe())

    def _check_hosts(self, behind: Sequence[Observation]) -> None:
        """All hosts fetch and verify before any is touched. :raises HaError: for all that cannot run `to`."""

        def check(one: Observation) -> host_bundle.Lacks | HaError:
            try:
                return host_bundle.check(self.estate, one.instance, self.to)
            except HaError as refused:
                return refused

        with ThreadPoolExecutor(max_workers=max(1, min(16, len(behind)))) as pool:
            answers = list(pool.map(check, behind))
        refused = []
        for one, answer in zip(behind, answers, strict=True):
            name = one.instance.host
            if isinstance(answer, HaError):
                refused.append(f"{name}: {answer.what}")
            elif answer.packages and answer.image:
                refused.append(f"{name}: its image {answer.image} lacks {', '.join(answer.packages)}")
            elif answer.packages:
                self._installs.add(name)
                self.say(f"{name}: installs {', '.join(answer.packages)}")
        if refused:
            raise HaError(
                "nothing was changed: " + "\n".join(refused),
                where=f"roll-out of {self.to} to {self.tier}",
                fix="packages come with the image: change it first. A bundle or release that is not available: "
                "`pulumi up` uploads those of this checkout",
            )

    def _await_quiet(self, behind: Collection[str]) -> Status:
        """The estate's status when it is healthy, or when the change may repair it: a host that is changed first is
        sick, or one is down or terminated that is left out.

        :raises HaError: otherwise. A sick host of this tier that the change does not reach leaves another one alone.
        """
        deadline = time.monotonic() + SETTLES_S
        while True:
            seen = status(self.estate, [])
            sick = {one.name: one.role for one in seen.hosts if not one.healthy}
            terminated = (set(self.planned) & set(self.without)) - {one.name for one in seen.hosts}
            new = {one.instance.host for one in self._hosts if not _was_ready(one)}
            expected = {name for name in sick if name in self.without or name in behind or name in new} | terminated
            if seen.healthy or (expected and self.tier.role not in {sick[name] for name in sick.keys() - expected}):
                return seen
            if time.monotonic() > deadline:
                if self.passed is not None:
                    self.passed(f"{self.tier} gets {self.to}, though the estate is not healthy")
                    return seen
                raise HaError(
                    f"nothing was changed, because the estate is not healthy: {'; '.join(seen.problems)}",
                    where=f"roll-out of {self.to} to {self.tier}",
                    fix="`ha status` shows what is wrong; a roll-out begins when nothing is. Hosts that are lost may "
                    f"be left out: HA_WITHOUT=HOST,...; {GATES}=off passes all gates",
                )
            time.sleep(_POLL_S)

    def _in_order(self, hosts: Sequence[Observation], seen: Status) -> list[Observation]:
        """Sick hosts first, then those that serve least."""
        healthy = {one.name for one in seen.hosts if one.healthy}
        leading = {seen.database.primary, seen.cache.primary, seen.load_balancer.active}
        return sorted(
            hosts, key=lambda one: (one.instance.host in healthy, one.instance.host in leading, one.instance.host)
        )

    def _setup_s(self, one: Observation) -> int:
        return host_bundle.setup_s(self.tier, installs=one.instance.host in self._installs)

    # --- the record

    def _open(self, last: RollOutRecord | None) -> None:
        self._write(
            record.opened(
                last, tier=self.tier, before=self.before, to=self.to, began=datetime.now(UTC), settles=self.settles
            )
        )

    def _note(self, host: str, progress: HostProgress) -> None:
        assert self._record is not None
        self._write(self._record.model_copy(update={"hosts": {**self._record.hosts, host: progress}}))

    def _write(self, new: RollOutRecord) -> None:
        self._record = record.write(self.s3, self.bucket, new)

    # --- host by host

    def _change_all(self, hosts: Sequence[Observation], accepted: frozenset[str]) -> None:
        changed: list[Observation] = []
        for one in hosts:
            try:
                self._change(one, self.to, accepted)
            except LeaseLost:
                raise  # another operation may be at work: the next `up` settles what is left
            except HaError as failed:
                raise self._undone(one, failed, changed, accepted) from None
            changed.append(one)
            accepted -= {one.instance.host}

    def _change(self, one: Observation, to: Pointer, accepted: frozenset[str]) -> None:
        """Change a host, wait until it serves, confirm it. It is back when this raises, or will be by itself.

        :raises LeaseLost: when nothing may be changed any more.
        """
        name, began = one.instance.host, time.monotonic()
        self.lease.check()
        self.say(f"{name}: applying {to}")
        self._note(name, HostProgress.CHANGED)
        done = host_bundle.change(
            self.estate, one.instance, to, self.before, within_s=CONFIRM_WITHIN_S, setup_s=self._setup_s(one)
        )
        if done.state != "applied":
            raise HaError(f"it refused the change: {done.error or done.state}", where=name)
        applied_s = time.monotonic() - began
        try:
            self._gate(one, accepted)
        except HaError as failed:
            self._end_change(one, failed)
            raise
        self.lease.check()
        host_bundle.confirm(self.estate, one.instance, to)
        self._note(name, HostProgress.CONFIRMED)
        self.say(f"{name}: serves, {time.monotonic() - began:.1f} s (applied after {applied_s:.1f} s)")

    def _end_change(self, one: Observation, failed: HaError) -> None:
        """Let the host go back now. :raises HaError: with both reasons, when it does not."""
        try:
            ended = host_bundle.back(self.estate, one.instance, setup_s=self._setup_s(one))
        except HaError as lost:
            raise HaError(f"{failed.what}; then it was told to go back: {lost.what}", where=failed.where) from None
        if ended.state != "back":
            why = ended.error or ended.state or "no reason given"
            raise HaError(f"{failed.what}; it did not go back: {why}", where=failed.where)

    def _gate(self, one: Observation, accepted: frozenset[str]) -> None:
        """:raises HaError: when the host, or what depends on it, is not healthy in time."""
        name, deadline = one.instance.host, time.monotonic() + GATE_S
        while True:
            # The host alone is asked first: to ask all of them costs those that serve.
            why = self._trouble_of(one)
            if not why:
                seen = status(self.estate, [])
                if not troubles(seen) - (accepted - {name}):
                    return
                why = "; ".join(seen.problems)
            if time.monotonic() > deadline:
                raise HaError(f"not healthy within {GATE_S} s: {why}", where=name)
            time.sleep(_POLL_S)

    def _trouble_of(self, one: Observation) -> str:
        """What the host reports that is wrong; empty when it is healthy."""
        try:
            report = self.estate.report(one.instance.instance_id)
        except CommandFailed as silent:
            return silent.what
        return trouble_of(Observation(one.instance, report))

    # --- when it fails

    def _undone(
        self, one: Observation, failed: HaError, changed: Sequence[Observation], accepted: frozenset[str]
    ) -> HaError:
        """What to raise after hosts that were changed are back, the last one first. The record is closed only when
        each host was seen to run what the pointer says.
        """
        name = one.instance.host
        self.say(f"{name}: {failed.what}")
        reasons = {name: failed.what}
        for other in reversed(changed):
            host, was = other.instance.host, other.runs.confirmed
            try:
                self._await_company(other, accepted | {name})
                self.say(f"{host}: goes back to {was}")
                self._change(other, was, accepted | {name})
                self._note(host, HostProgress.RETURNED)
            except LeaseLost:
                raise
            except HaError as stuck:
                reasons[host] = stuck.what
        try:
            left = self._left_over(reasons)
            if not left:
                self._close(f"went back: {name}: {failed.what}"[:1000])
        except HaError as unknown:
            left = [f"what the hosts run is not known: {unknown.what}"]
        ends = [*left, "the next `pulumi up` settles every host"] if left else [f"every host runs {self.before} again"]
        return HaError(
            f"{self.tier}: {name} does not take {self.to}: {failed.what}\n" + "\n".join(ends),
            where=name,
            fix=failed.fix or f"`ha-report` and `journalctl -u ha-setup -u ha-change` on {name} show more",
        )

    def _await_company(self, one: Observation, accepted: frozenset[str]) -> None:
        """:raises HaError: when a change of the host would leave its tier without a healthy one."""
        deadline = time.monotonic() + GATE_S
        while True:
            seen = status(self.estate, [])
            others = [host for host in seen.hosts if host.role == self.tier.role and host.name != one.instance.host]
            alone = bool(others) and not any(host.healthy for host in others)
            if not alone and not troubles(seen) - accepted:
                return
            if time.monotonic() > deadline:
                raise HaError(f"it cannot be spared: {'; '.join(seen.problems)}", where=one.instance.host)
            time.sleep(_POLL_S)

    def _left_over(self, reasons: Mapping[str, str]) -> list[str]:
        """The hosts that were not seen to run what the pointer says, each with what it runs and why."""
        at_start = {one.instance.host for one in self._hosts}
        left = []
        for one in self._observe():
            host = one.instance.host
            if host not in at_start or not _was_ready(one) or _runs(one, self.before):
                continue
            state = f"stays on {one.runs.confirmed}" if one.report is not None else f"is lost ({one.silence})"
            left.append(f"{host} {state}{f': {reasons[host]}' if host in reasons else ''}")
        return left

    # --- the end

    def _ask_again(self) -> None:
        """:raises HaError: when a host does not run `to`; the record stays open, so that the next `up` settles it."""
        seen = [one for one in self._present(self._observe()) if _was_ready(one)]
        others = [one.instance.host for one in seen if not _runs(one, self.to)]
        if others:
            raise HaError(
                f"{', '.join(others)}: something else than {self.to} runs there after the roll-out",
                where=f"roll-out to {self.tier}",
                fix="run `pulumi up` again: it settles every host",
            )

    def _close(self, outcome: str) -> None:
        assert self._record is not None
        self._write(record.closed(self._record, outcome))


def _runs(one: Observation, wanted: Pointer) -> bool:
    """Whether a host runs a version for good."""
    return one.runs.settled_on(wanted) and one.runs.change not in _UNSETTLED


def _was_ready(one: Observation) -> bool:
    """Whether a host ever was, as far as is known. One that was not serves nobody, and may need a host that the update
    makes later: it cannot take a change, and boots with the new version instead.
    """
    if one.report is None or not one.runs.bundle:
        return True
    return one.runs.confirmed_bundle != "" or not trouble_of(one)


def finish(estate: Estate, s3: Any, bucket: str, tier: Tier, say: Say) -> None:
    """After the pointer was written: closes the record, tells the hosts, whose boots believe the pointer again, and
    deletes what nothing names any more.
    """
    last = record.read(s3, bucket, tier)
    if last is None or not last.open:
        return
    everyone = observe(estate, [tier])
    seen = [one for one in everyone if one.report is not None]
    for one in seen:
        if _was_ready(one):
            host_bundle.close(estate, one.instance)
        else:
            host_bundle.again(estate, one.instance)
    if len(seen) < len(everyone):
        down = ", ".join(one.instance.host for one in everyone if one.report is None)
        say(f"{tier}: {down} was left out, so the next `pulumi up` looks at every host again")
        return
    record.write(s3, bucket, record.closed(last, "done"))
    running = {digest for one in seen for digest in (one.runs.bundle, one.runs.release, one.runs.confirmed_bundle)}
    try:
        prune(s3, bucket, tier, running)
    except HaError as kept:  # the roll-out is done: old bundles cost a cent
        say(f"{tier}: old bundles are not deleted: {kept.what}")

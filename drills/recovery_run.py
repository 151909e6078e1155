"""Backups and restores under load, with what may happen in the middle of them, held against the ledger."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from drills import ledger
from drills.catalogue import Drill
from drills.fault_injector import FaultInjector
from drills.faults import Targets, injected
from drills.load_process import LoadProcess
from drills.primary import primary_of
from drills.recoveries import Recovery
from drills.results import RecoveryRun, RestoreRun
from ops import host_job, recovery, restore, restore_host
from ops.backups import NOT_LISTED, Backups, in_words
from ops.lease import Lease, process_lease
from ops.postgres import psql_command
from ops.recovery import Made, UnderWay
from ops.scope import scope_of
from ops.switchover import Say
from ops.target import Target, parse
from spec.errors import HaError
from spec.scope import Scope

AFTER_TARGET_S: Final = 5.0
"""Writes go on for this long after the target: they must not be in the restored database."""
OTHER_BACKUP_S: Final = 300.0
"""How long a backup of the schedule may be in the way. One is due after each failover."""
WHOLE_S: Final = 180.0
"""How long it may take after a fault until the repository is whole again: all is archived, without a hole."""
POLL_S: Final = 3.0
_CLOCK: Final = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
_COPIES_S: Final = 60
# pgBackRest says it when PostgreSQL is ready for the backup: from then on it copies files.
_AWAIT_COPYING: Final = (
    f"cd {host_job.JOBS}/{recovery.BACKUP_JOB}; for _ in $(seq {_COPIES_S * 5}); do "
    "if grep -qs 'backup start archive' err; then exit 0; fi; if [ -e code ]; then break; fi; sleep 0.2; done; "
    "tail -n 1 err >&2; exit 1"
)


@dataclass(frozen=True)
class Moment:
    """A moment by the primary's clock, as a restore takes it, and as the load's samples have it."""

    target: Target
    monotonic: float


@dataclass
class RecoveryDrill(ABC):
    """One run of a recovery drill on a healthy estate, under load.

    :param prefix: begins the titles of the load's rows.
    """

    drill: Drill
    injector: FaultInjector
    targets: Targets
    load: LoadProcess
    prefix: str
    say: Say
    compared_since: float = field(default=-math.inf, init=False)
    """Writes that were sent before this moment are not looked up at the end: they were deleted on purpose."""

    @abstractmethod
    def harm(self) -> float:
        """Does the harm, and heals it. Returns when it began (monotonic)."""

    @abstractmethod
    def recover(self, healed: float) -> tuple[RecoveryRun, list[str]]:
        """What became of it, and what is not as expected, a sentence each. The estate is redundant again.

        :param healed: when `harm` had ended.
        """

    @cached_property
    def _scope(self) -> Scope:
        return scope_of(self.injector.estate, self.injector.settings)

    @cached_property
    def _lease(self) -> Lease:
        return process_lease(self.injector.estate.client("s3"), self._scope.artifact_bucket, "ha drill run")

    def _hold_fault(self) -> float:
        """Injects the drill's fault and heals it. Returns when it began."""
        self.say(f"{self.drill.name}: injecting {self.drill.fault.name} on {', '.join(self.targets.hosts)}")
        began = time.monotonic()
        with injected(self.drill.fault, self.injector, self.targets, self.say):
            time.sleep(self.drill.hold_s)
        return began

    def _backup(self, *, full: bool) -> Made:
        """Makes a backup, once no other is in the way."""
        deadline = time.monotonic() + OTHER_BACKUP_S
        while True:
            try:
                return recovery.backup(self.injector.estate, self._lease, self.say, full=full)
            except UnderWay:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _now(self, *statements: str) -> tuple[Moment, list[str]]:
        """The time on the primary, and then what it answers to statements that follow at once, a line each."""
        # All hosts of the lab have this machine's clocks. Taken now, as the wall clock may be adjusted meanwhile.
        wall_minus_monotonic = time.time() - time.monotonic()
        command = psql_command(self.injector.settings.database.name, _CLOCK, *statements)
        clock, *answers = self.injector.run(primary_of(self.injector), command).splitlines()
        target = parse(f"{clock} UTC", now=datetime.now(UTC))
        assert target.at is not None
        return Moment(target, target.at.timestamp() - wall_minus_monotonic), answers

    def _restored(self, to: Moment, backup_s: float, named: str | None = None) -> tuple[RecoveryRun, list[str]]:
        """Restores beside the running database, compares, and ends the host.

        :param named: the label of the backup to begin with, instead of the newest that leads there.
        """
        estate, settings = self.injector.estate, self.injector.settings.backups
        made = restore.restore(estate, self._scope, settings, self._lease, to.target, self.say, named=named)
        try:
            titles = ledger.stored_titles(self.injector, made.host, self.prefix)
        finally:
            restore_host.end_all(estate, self.say)
        found = ledger.compare_at(list(self.load.samples), titles, to.monotonic)
        run = RestoreRun(
            to=made.to,
            backup=made.backup,
            restored_rows=len(titles),
            acknowledged_before=found.acknowledged_before,
            missing=len(found.missing),
            sent_after=found.sent_after,
            after_and_there=len(found.after_and_there),
            rpo_s=round(found.rpo_s, 3),
            rto_s=made.took_s,
        )
        return RecoveryRun(backup_s=backup_s, restore=run), [*made.skipped, *unmet(run)]

    def _described(self) -> Backups:
        settings = self.injector.settings.backups
        return recovery.described(self.injector.estate, settings, self._scope.artifact_bucket, lambda _: None)

    def _new_faults(self, before: Backups) -> list[str]:
        """What the repository lacks that it did not lack before, after some time to become whole again."""
        deadline = time.monotonic() + WHOLE_S
        while (found := new_faults(before, self._described())) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return found


def unmet(run: RestoreRun) -> list[str]:
    """What is not as expected of a restore, a sentence each. Pure."""
    limits = (
        (run.missing, f"{run.missing} writes that were acknowledged before {run.to} are missing in the restore"),
        (run.after_and_there, f"{run.after_and_there} writes that were sent after {run.to} are in the restore"),
        (not run.acknowledged_before, f"no write was acknowledged before {run.to}: the restore shows nothing"),
        (not run.sent_after, f"no write was sent after {run.to}: the restore shows nothing"),
    )
    return [text for broken, text in limits if broken]


def new_faults(before: Backups, after: Backups) -> list[str]:
    """The damaged backups and the holes in the archive that were not there before, a sentence each. Pure."""
    if after.holes is None:
        return [NOT_LISTED]
    damaged = {one.label for one in before.backups if one.fault}
    return [
        *(f"backup {one.label}: {one.fault}" for one in after.backups if one.fault and one.label not in damaged),
        *(in_words(hole) for hole in after.holes if hole not in (before.holes or ())),
    ]


def ended_before(before: Backups, after: Backups, moment: datetime) -> Sequence[str]:
    """The labels of the backups that were made since `before` and had ended at a moment. Pure."""
    known = {one.label for one in before.backups}
    return [one.label for one in after.backups if one.label not in known and one.stopped <= moment]


class RestoreToTime(RecoveryDrill):
    """Somebody deletes rows by mistake. They are looked up in a restore to just before it."""

    def harm(self) -> float:
        restore_host.refuse_second(self.injector.estate)
        self._made = self._backup(full=False)
        self.say(f"{self.drill.name}: deleting the rows of the load")
        began = time.monotonic()
        self._to, (deleted,) = self._now(ledger.counted_delete_statement(self.prefix))
        self.compared_since = time.monotonic()
        if deleted == "0":
            raise HaError("there were no rows to delete", where=self.drill.name)
        time.sleep(self.drill.hold_s)
        return began

    def recover(self, healed: float) -> tuple[RecoveryRun, list[str]]:
        return self._restored(self._to, self._made.took_s)


class RestoreThroughFailover(RecoveryDrill):
    """A restore to a time after a failover, out of a backup of before it."""

    def harm(self) -> float:
        restore_host.refuse_second(self.injector.estate)
        self._made = self._backup(full=False)
        self._before = self._described()
        return self._hold_fault()

    def recover(self, healed: float) -> tuple[RecoveryRun, list[str]]:
        to, _ = self._now()
        time.sleep(AFTER_TARGET_S)
        faults = self._new_faults(self._before)
        run, broken = self._restored(to, self._made.took_s, named=self._made.label)
        return run, [*faults, *broken]


class BackupDuringFailover(RecoveryDrill):
    """The primary is lost in the middle of a full backup."""

    def harm(self) -> float:
        estate, primary = self.injector.estate, self.targets.primary
        deadline = time.monotonic() + OTHER_BACKUP_S
        while (before := self._described()).running and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self._before = before
        on = next(one for one in estate.instances() if one.host == primary)
        self.say(f"{self.drill.name}: {primary} makes a full backup")
        host_job.start(estate, on, recovery.BACKUP_JOB, "ha-backup full")
        self.injector.run(primary, _AWAIT_COPYING, timeout_s=_COPIES_S + 30)
        self._lost_at = datetime.now(UTC)
        return self._hold_fault()

    def recover(self, healed: float) -> tuple[RecoveryRun, list[str]]:
        made = self._backup(full=True)
        broken = self._new_faults(self._before)
        if ended := ended_before(self._before, self._described(), self._lost_at):
            broken.append(f"the backup {', '.join(ended)} had ended before the primary was lost")
        return RecoveryRun(backup_s=made.took_s), broken


class ArchiveUnreachable(RecoveryDrill):
    """The bucket of the backups refuses the database hosts for a while."""

    def harm(self) -> float:
        self._before = self._described()
        self.say(f"{self.drill.name}: the bucket refuses the database hosts for {self.drill.hold_s:g} s")
        began = time.monotonic()
        with injected(self.drill.fault, self.injector, self.targets, self.say):
            time.sleep(self.drill.hold_s)
            self._waited = self._waiting()
        return began

    def recover(self, healed: float) -> tuple[RecoveryRun, list[str]]:
        broken = [] if self._waited else ["no WAL waited: the archive was not refused"]
        caught_up_s: float | None = None
        while caught_up_s is None and time.monotonic() < healed + WHOLE_S:
            if self._waiting() == 0:
                caught_up_s = round(time.monotonic() - healed, 1)
            else:
                time.sleep(1.0)
        if caught_up_s is None:
            broken.append(f"{self._waiting()} segments of WAL still wait {WHOLE_S:g} s after the archive was back")
        broken += self._new_faults(self._before)
        return RecoveryRun(waiting_segments=self._waited, caught_up_s=caught_up_s), broken

    def _waiting(self) -> int:
        """How many segments of WAL wait for the archive."""
        ready = f"find {self.targets.software.data}/pg_wal/archive_status -name '*.ready' | wc -l"
        return int(self.injector.run(primary_of(self.injector), ready))


# A restore in place has its drill here as well: `harm` loses both volumes, `recover` runs it and compares.
RECOVERIES: Final[Mapping[Recovery, type[RecoveryDrill]]] = {
    Recovery.RESTORE_TO_TIME: RestoreToTime,
    Recovery.RESTORE_THROUGH_FAILOVER: RestoreThroughFailover,
    Recovery.BACKUP_DURING_FAILOVER: BackupDuringFailover,
    Recovery.ARCHIVE_UNREACHABLE: ArchiveUnreachable,
}

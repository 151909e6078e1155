"""A recovery is held against the ledger, and leaves no host behind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest

from drills import recovery_run
from drills.catalogue import CATALOGUE
from drills.faults import Targets
from drills.recoveries import Recovery
from drills.recovery_run import (
    RECOVERIES,
    ArchiveUnreachable,
    BackupDuringFailover,
    RecoveryDrill,
    RestoreThroughFailover,
    RestoreToTime,
    ended_before,
    new_faults,
    unmet,
)
from drills.results import RestoreRun
from drills.samples import Kind, Sample
from ops.backups import NOT_LISTED, Backups
from ops.recovery import UnderWay
from ops.target import Target
from spec.errors import HaError
from spec.tiers import Tier
from tests.unit.drills.test_faults import FakeInjector
from tests.unit.ops.test_backups import judged
from tests.unit.repository import archived, at, backup, run, stanza, usual, wal

TARGETS = Targets(Tier.DB, ("db1",), "db1", "db2", "monitor1")
LABEL = "20261201-120000F"


def write(key: str, start: float) -> Sample:
    return Sample(Kind.WRITE, start, start + 0.1, 201, key=key)


class Site(FakeInjector):
    """An estate with a primary that writes. `restored`: the rows of its restore, or why it does not answer; `waiting`:
    how many segments wait, each time that it is asked, then always the last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.restored: list[str] | Exception = []
        self.samples: list[Sample] = []
        self.acts: list[str] = []
        self.waiting = [0]
        self.target: Target | None = None
        self.named: str | None = None

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        if "clock_timestamp" in script:
            noted = datetime.now(UTC)
            if "delete from" in script:
                self.acts.append(f"delete on {host}")
            return f"{noted:%Y-%m-%d %H:%M:%S.%f}\n" + ("7\n" if "delete from" in script else "")
        if "select title" in script:
            if isinstance(self.restored, Exception):
                raise self.restored
            return "".join(f"{title}\n" for title in self.restored)
        if ".ready" in script:
            return f"{self.waiting.pop(0) if len(self.waiting) > 1 else self.waiting[0]}\n"
        if "backup start archive" in script:
            self.acts.append("copying")
        return super().run(host, script)

    def power_loss(self, host: str) -> None:
        self.acts.append(f"{host} loses power")
        super().power_loss(host)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    one = Site()

    def restored(*asked: Any, named: str | None) -> MagicMock:
        one.acts.append("restore")
        one.target, one.named = asked[4], named
        return MagicMock(host="restore1", to=str(asked[4]), backup=LABEL, took_s=61.5, skipped=[])

    def made(*_: object, full: bool) -> MagicMock:
        one.acts.append("full backup" if full else "backup")
        return MagicMock(label=LABEL, took_s=6.0)

    monkeypatch.setattr("drills.recovery_run.time.sleep", lambda _: None)
    monkeypatch.setattr("drills.recovery_run.primary_of", lambda _: "db1")
    monkeypatch.setattr("drills.recovery_run.scope_of", lambda *_: MagicMock())
    monkeypatch.setattr("drills.recovery_run.process_lease", lambda *_: MagicMock())
    monkeypatch.setattr("drills.recovery_run.recovery.backup", made)
    monkeypatch.setattr("drills.recovery_run.recovery.described", lambda *_: judged(stanza(usual())))
    monkeypatch.setattr("drills.recovery_run.restore.restore", restored)
    monkeypatch.setattr("drills.recovery_run.restore_host.refuse_second", lambda _: one.acts.append("look"))
    monkeypatch.setattr("drills.recovery_run.restore_host.end_all", lambda *_: one.acts.append("end"))
    monkeypatch.setattr("drills.recovery_run.host_job.start", lambda *given: one.acts.append(given[-1]))
    return one


def acts_of(kind: Callable[..., RecoveryDrill], site: Site) -> RecoveryDrill:
    drill = CATALOGUE[next(name for name, one in RECOVERIES.items() if one is kind)]
    return kind(drill, site, TARGETS, MagicMock(samples=site.samples), "drill-", lambda _: None)


GOOD = RestoreRun(
    to="2026-12-01 14:05:00 UTC",
    backup=LABEL,
    restored_rows=9,
    acknowledged_before=9,
    missing=0,
    sent_after=5,
    after_and_there=0,
    rpo_s=0.0,
    rto_s=61.5,
)


def test_each_recovery_is_a_drill_and_has_its_acts() -> None:
    assert set(RECOVERIES) == set(Recovery) == {drill.recovery for drill in CATALOGUE.values()} - {None}
    assert all(name == CATALOGUE[name].recovery for name in Recovery)


def test_an_exact_restore_is_as_expected() -> None:
    assert unmet(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"missing": 2}, "2 writes that were acknowledged before 2026-12-01 14:05:00 UTC are missing in the restore"),
        ({"after_and_there": 1}, "1 writes that were sent after 2026-12-01 14:05:00 UTC are in the restore"),
        ({"acknowledged_before": 0}, "no write was acknowledged before 2026-12-01 14:05:00 UTC"),
        ({"sent_after": 0}, "no write was sent after 2026-12-01 14:05:00 UTC"),
    ],
)
def test_a_restore_that_is_not_exact_or_shows_nothing_is_not(changed: dict[str, int], why: str) -> None:
    (found,) = unmet(GOOD.model_copy(update=changed))
    assert why in found


def test_rows_deleted_by_mistake_are_in_a_restore_to_just_before(site: Site) -> None:
    acts = acts_of(RestoreToTime, site)
    before = time.monotonic()
    site.samples += [write("a", before - 2), write("b", before - 1), write("c", time.monotonic() + 60)]
    site.restored = ["a", "b"]
    began = acts.harm()
    found, broken = acts.recover(time.monotonic())
    assert site.acts == ["look", "backup", "delete on db1", "restore", "end"]
    assert before <= began <= acts.compared_since <= time.monotonic()
    assert found.restore is not None
    assert site.target is not None
    assert (found.backup_s, found.restore.to, found.restore.rto_s) == (6.0, str(site.target), 61.5)
    assert (found.restore.restored_rows, found.restore.acknowledged_before, found.restore.sent_after) == (2, 2, 1)
    assert broken == []


def test_the_time_is_noted_before_the_rows_are_deleted(site: Site) -> None:
    scripts: list[str] = []

    def run(host: str, script: str, **_: object) -> str:
        scripts.append(script)
        return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}\n7\n"

    site.run = run  # type: ignore[method-assign]
    acts_of(RestoreToTime, site).harm()
    assert 0 < scripts[-1].index("clock_timestamp()") < scripts[-1].index("delete from events")


def test_what_is_missing_and_what_is_too_new_breaks_it(site: Site) -> None:
    acts = acts_of(RestoreToTime, site)
    site.samples += [write("a", time.monotonic() - 2), write("b", time.monotonic() + 60)]
    site.restored = ["b"]
    acts.harm()
    found, broken = acts.recover(time.monotonic())
    assert found.restore is not None
    assert (found.restore.missing, found.restore.after_and_there) == (1, 1)
    assert found.restore.rpo_s == pytest.approx(1.9, abs=0.5)
    assert len(broken) == 2


def test_with_nothing_to_delete_there_is_no_drill(site: Site) -> None:
    site.run = lambda *_, **__: "2026-01-01 00:00:00.000000\n0\n"  # type: ignore[method-assign]
    with pytest.raises(HaError, match="no rows to delete"):
        acts_of(RestoreToTime, site).harm()


def test_the_host_of_the_restore_is_ended_when_it_does_not_answer(site: Site) -> None:
    site.restored = HaError("no answer")
    acts = acts_of(RestoreToTime, site)
    acts.harm()
    with pytest.raises(HaError, match="no answer"):
        acts.recover(time.monotonic())
    assert site.acts[-1] == "end"


def test_a_restore_through_a_failover_begins_with_the_backup_of_before_it(site: Site) -> None:
    acts = acts_of(RestoreThroughFailover, site)
    site.samples += [write("a", time.monotonic() - 2), write("b", time.monotonic() + 60)]
    site.restored = ["a"]
    acts.harm()
    assert site.nothing_is_broken
    found, broken = acts.recover(time.monotonic())
    assert site.acts == ["look", "backup", "db1 loses power", "restore", "end"]
    assert site.named == LABEL
    assert acts.compared_since == -math.inf
    assert (broken, found.restore is not None) == ([], True)


def test_the_primary_is_lost_while_its_backup_copies(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.estate.instances.return_value = [MagicMock(host="db1")]  # type: ignore[attr-defined]
    acts = acts_of(BackupDuringFailover, site)
    acts.harm()
    found, broken = acts.recover(time.monotonic())
    assert site.acts == ["ha-backup full", "copying", "db1 loses power", "full backup"]
    assert site.nothing_is_broken
    assert (found.backup_s, broken) == (6.0, [])
    # The new backup had ended before the loss: it was not in the middle.
    grown = judged(stanza([*usual(), backup(at(-24 * 400), at(-24 * 400) + 5)]))
    monkeypatch.setattr("drills.recovery_run.recovery.described", lambda *_: grown)
    assert any("had ended before the primary was lost" in one for one in acts.recover(time.monotonic())[1])


def test_a_backup_waits_for_another_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [UnderWay("a backup is under way already"), MagicMock(took_s=6.0)]

    def made(*_: object, **__: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("drills.recovery_run.recovery.backup", made)
    acts_of(RestoreToTime, site).harm()
    assert answers == []
    monkeypatch.setattr(recovery_run, "OTHER_BACKUP_S", -1.0)
    answers.append(UnderWay("a backup is under way already"))
    with pytest.raises(UnderWay):
        acts_of(RestoreToTime, site).harm()


def test_an_archive_that_comes_back_is_caught_up_with(site: Site) -> None:
    site.waiting = [31, 12, 0]
    acts = acts_of(ArchiveUnreachable, site)
    acts.harm()
    assert site.nothing_is_broken
    found, broken = acts.recover(time.monotonic())
    assert (found.waiting_segments, found.caught_up_s is not None, broken) == (31, True, [])


def test_an_archive_that_was_never_refused_shows_nothing(site: Site) -> None:
    acts = acts_of(ArchiveUnreachable, site)
    acts.harm()
    assert acts.recover(time.monotonic())[1] == ["no WAL waited: the archive was not refused"]


def test_an_archive_that_does_not_catch_up_breaks_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.waiting = [31]
    acts = acts_of(ArchiveUnreachable, site)
    acts.harm()
    monkeypatch.setattr(recovery_run, "WHOLE_S", 0.0)
    found, (broken,) = acts.recover(time.monotonic())
    assert found.caught_up_s is None
    assert broken == "31 segments of WAL still wait 0 s after the archive was back"


def holed() -> Backups:
    return judged(stanza(usual()), wal=archived(run(1, 30, at(7)), run(33, 40, at(8))))


def test_only_what_is_new_is_a_fault_of_the_drill() -> None:
    whole, hole = judged(stanza(usual())), holed()
    assert new_faults(whole, whole) == []
    assert new_faults(hole, hole) == []
    assert new_faults(whole, hole) == [
        f"a hole in the archive: 2 segments are missing after {wal(30)}, before {wal(33)}"
    ]


def test_a_backup_that_is_damaged_since_is_a_fault() -> None:
    whole = judged(stanza(usual()))
    damaged = [*whole.backups[:-1], whole.backups[-1].model_copy(update={"fault": "it is missing"})]
    after = whole.model_copy(update={"backups": damaged})
    assert new_faults(whole, after) == [f"backup {damaged[-1].label}: it is missing"]
    assert new_faults(after, after) == []


def test_an_archive_that_is_not_listed_may_have_holes() -> None:
    whole = judged(stanza(usual()))
    assert new_faults(whole, whole.model_copy(update={"holes": None})) == [NOT_LISTED]


def test_a_backup_that_ended_before_the_loss_was_not_in_its_middle() -> None:
    full, later = judged(stanza(usual())).backups
    before = judged(stanza(usual()[:1]))
    after = judged(stanza(usual()))
    assert ended_before(before, after, later.stopped) == [later.label]
    assert ended_before(before, after, later.stopped - timedelta(seconds=1)) == []
    assert ended_before(after, after, later.stopped) == []
    assert full.label not in ended_before(before, after, later.stopped)


def test_the_repository_gets_time_to_be_whole_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [judged(stanza(usual())), holed(), judged(stanza(usual()))]
    monkeypatch.setattr("drills.recovery_run.recovery.described", lambda *_: answers.pop(0))
    acts = acts_of(ArchiveUnreachable, site)
    acts.drill = replace(acts.drill, hold_s=1.0)
    site.waiting = [1, 0]
    acts.harm()
    assert acts.recover(time.monotonic())[1] == []
    assert answers == []

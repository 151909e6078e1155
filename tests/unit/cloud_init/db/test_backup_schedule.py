"""Thirty days of backups in fast time: the schedule of a host, and pgBackRest's rule for what expires."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.backups import Backup, kept_until
from spec.settings import BackupSettings
from tests.unit.cloud_init.rendering import program
from tests.unit.repository import at, backup, label

repository = program("db/files/usr/local/lib/ha/repository.py")
HOUR, DAY = 3600, 86_400


@dataclass
class Simulated:
    """A repository over time. `gone`: when each backup was expired; `made`: all that were ever made, by label."""

    settings: BackupSettings
    kept: list[dict[str, Any]] = field(default_factory=list)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)

    def tick(self, now: int, took_s: int) -> None:
        """What the timer does."""
        chosen = self.settings
        act = repository.due(self.kept, 1, now, chosen.full_every_days * DAY, chosen.incremental_every_hours * HOUR)
        if act:
            prior = self.kept[-1]["label"] if act == "incr" else None
            new = backup(now, now + took_s, prior)
            self.kept.append(new)
            self.made[new["label"]] = new
            self._expire(now + took_s)

    def _expire(self, now: int) -> None:
        """As pgBackRest 2.55 does with `repo1-retention-full-type=time` (expireTimeBasedBackup in expire.c): the newest
        full backup that is older than the retention stays, all before it goes.
        """
        least = now - self.settings.retention_days * DAY
        old = [one for one in self.kept if one["type"] == "full" and one["timestamp"]["stop"] < least]
        while old and self.kept[0]["label"] != old[-1]["label"]:
            first = self.kept[0]["label"]
            for one in [one for one in self.kept if one["label"][:16] == first]:
                self.kept.remove(one)
                self.gone[one["label"]] = now

    def check(self, now: int) -> None:
        labels = {one["label"] for one in self.kept}
        assert all(one["prior"] in labels for one in self.kept if one["prior"]), "a kept backup needs one that is gone"
        first = min(one["timestamp"]["stop"] for one in self.made.values())
        back = max(first, now - self.settings.retention_days * DAY)
        assert min(one["timestamp"]["stop"] for one in self.kept) <= back, "the oldest days are gone"

    def check_locks(self) -> None:
        """Nobody can delete a version of what is needed: a lock lasts as long as the need."""
        planned = kept_until([Backup.model_validate(one) for one in self.made.values()], self.settings.retention_days)
        for name, one in self.made.items():
            if name in planned:
                needed = planned[name].timestamp()
                assert one["timestamp"]["start"] + self.settings.lock_days * DAY >= needed, name
                assert name not in self.gone or self.gone[name] > needed, "expired before its time"
            else:
                assert name not in self.gone


def test_thirty_days_of_schedule() -> None:
    done, now, tick = Simulated(BackupSettings()), at(0), 0
    while now < at(30 * 24):
        done.tick(now, took_s=600 if tick % 7 else 1200)
        done.check(now)
        tick += 1
        now += 600 + (tick * 37) % 300  # every ten minutes, and a random delay
    done.check_locks()
    made = list(done.made.values())
    assert [one["type"] for one in made].count("full") == 5  # of days 0, 7, 14, 21, 28
    assert 105 <= len(made) <= 121  # every six hours, less what the timer's delay adds up to
    # A full backup is the way back to the oldest days until the next one is 14 days old.
    gone = {name[:9]: (when - at(0)) // DAY for name, when in done.gone.items()}
    assert gone == {"20261201-": 21, "20261208-": 28}
    assert len({one["label"][:16] for one in done.kept}) == 3


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 16),
    st.integers(1, 9),
    st.sampled_from([3, 4, 6, 8, 12, 24]),
    st.integers(60, 2 * HOUR),
    st.lists(st.tuples(st.integers(1, 40 * 24), st.integers(1, 24)), max_size=3),
)
def test_what_is_needed_is_kept_and_locked_with_any_settings(
    retention: int, full: int, hours: Any, took_s: int, outages: list[tuple[int, int]]
) -> None:
    """`outages`: hour and hours in which no backup can be made; a day at most, and not one after the other."""
    chosen = BackupSettings(retention_days=retention, full_every_days=full, incremental_every_hours=hours)
    done = Simulated(chosen)
    apart = [one for i, one in enumerate(sorted(outages)) if i == 0 or one[0] > sum(sorted(outages)[i - 1]) + 24]
    end = min(40, retention + 3 * full + 2) * 24
    for hour in range(0, end, 2):
        if not any(begin <= hour < begin + lasts for begin, lasts in apart):
            done.tick(at(hour), took_s)
        if done.made:
            done.check(at(hour))
    done.check_locks()


def test_the_labels_of_these_tests_are_pgbackrests() -> None:
    assert label(at(0)) == "20261201-120000F"
    assert label(at(1), label(at(0))) == "20261201-120000F_20261201-130000I"

"""What of the archive is missing after a failover, and which backup is due."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import program

LIBRARY = "db/files/usr/local/lib/ha/"
MIB = 1 << 20
HISTORY = "1\t0/3000148\tno recovery target specified\n\n2\t1/00200000\tbefore 2000-01-01 (# is no comment)\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    program(f"{LIBRARY}archive-watch")  # imports it
    repository = sys.modules["repository"]
    monkeypatch.setattr(repository, "DATA", tmp_path / "main")
    monkeypatch.setattr(repository, "METRICS", tmp_path / "metrics")
    monkeypatch.setattr(repository, "CONFIGURATION", tmp_path / "pgbackrest.conf")
    monkeypatch.setattr(repository, "HOME", tmp_path / "home")
    monkeypatch.setattr(repository, "SIZES", tmp_path / "20-size.conf")
    (tmp_path / "main/pg_wal/archive_status").mkdir(parents=True)
    return repository


HOUR, DAY = 3600, 86400
BIRTH = 20_000 * DAY


def backup(kind: str, age_s: int, timeline: int = 1, segment: int = 7) -> dict[str, Any]:
    """A backup that began when the pair was so old, in a segment."""
    first, start = f"{timeline:08X}{segment:016X}", BIRTH + age_s
    return {"type": kind, "timestamp": {"start": start, "stop": start + 60}, "archive": {"start": first, "stop": first}}


@pytest.mark.parametrize(
    ("backups", "timeline", "now", "kind"),
    [
        ([], 1, 0, "full"),
        ([backup("full", 0)], 1, 6 * HOUR - 1, None),
        ([backup("full", 0)], 1, 6 * HOUR, "incr"),
        ([backup("full", 0), backup("incr", 6 * HOUR)], 1, 11 * HOUR, None),
        ([backup("full", 0), backup("incr", 7 * DAY - HOUR)], 1, 7 * DAY, "full"),
        ([backup("full", 0)], 2, 60, "incr"),  # a failover
        ([backup("full", 0), backup("incr", 50, timeline=2)], 2, 60, None),
        ([backup("incr", 0)], 1, 60, "full"),
    ],
)
def test_the_backup_that_is_due(
    repository: ModuleType, backups: list[dict[str, Any]], timeline: int, now: int, kind: str | None
) -> None:
    assert repository.due(backups, timeline, BIRTH + now, 7 * DAY, 6 * HOUR) == kind


def test_a_history_says_where_each_timeline_ended(repository: ModuleType) -> None:
    assert repository.switches(HISTORY) == {1: 0x3000148, 2: (1 << 32) + 2 * MIB}
    assert repository.switches("") == {}


@pytest.mark.parametrize(
    ("segment", "began", "kind"),
    [
        (7, backup("incr", 60, segment=7), "incr"),  # it needs the segment that is lost
        (7, backup("incr", 60, segment=8), None),
        (7, backup("incr", 60, timeline=2, segment=8), None),
        (9, backup("incr", 60, segment=8), "incr"),  # lost since
    ],
)
def test_a_hole_makes_a_backup_due_until_one_began_after_it(
    repository: ModuleType, segment: int, began: dict[str, Any], kind: str | None
) -> None:
    timeline = int(began["archive"]["start"][:8], 16)
    lost = f"00000001{segment:016X}"
    backups = [backup("full", 0), began]
    assert repository.due(backups, timeline, BIRTH + 120, 7 * DAY, 6 * HOUR, lost) == kind


def wal(first: int, last: int, timeline: int = 1) -> list[str]:
    return [f"{timeline:08X}{number:016X}" for number in range(first, last + 1)]


def test_what_leads_from_the_last_backup_before_to_the_timeline_of_now(repository: ModuleType) -> None:
    history = "1\t0/3000148\tfirst\n2\t0/3200000\tsecond\n"  # in segment 48, and at the end of 49
    old, new = backup("full", 0, segment=0x2C), backup("incr", 60, segment=0x2E)
    assert repository.needed([old, new], history, MIB) == wal(0x2E, 0x2F) + wal(0x30, 0x31, 2)
    # One of the timeline of now needs nothing of before, and says nothing of what leads to it.
    assert repository.needed([new, backup("incr", 90, 3, 0x33)], history, MIB) == wal(0x2E, 0x2F) + wal(0x30, 0x31, 2)
    assert repository.needed([new, backup("incr", 90, 2, 0x31)], history, MIB) == wal(0x31, 0x31, 2)
    # An old primary that went on after it was replaced.
    assert repository.needed([new, backup("incr", 90, 1, 0x33)], history, MIB) == wal(0x2E, 0x2F) + wal(0x30, 0x31, 2)
    assert repository.needed([backup("incr", 90, 3, 0x33)], history, MIB) == []
    assert repository.needed([], history, MIB) == []


def test_segments_of_16_mib_have_other_names(repository: ModuleType) -> None:
    history = "1\t1/2000148\tfirst\n"
    found = repository.needed([backup("full", 0, segment=0xFE)], history, 16 * MIB)
    assert found == ["0000000100000000000000FE", "0000000100000000000000FF", *wal(1 << 32, (1 << 32) + 1)]


def test_a_standby_and_a_node_that_shuts_down_are_no_primary_without_being_asked(repository: ModuleType) -> None:
    assert not repository.may_be_primary()
    state = repository.DATA / "postmaster.pid"
    state.write_text("4711\n/srv/data\n1790000000\n5432\n/run/postgresql\n*\n  1 2\nready   \n")
    assert repository.may_be_primary()
    state.write_text("4711\n/srv/data\n1790000000\n5432\n/run/postgresql\n*\n  1 2\nstopping\n")
    assert not repository.may_be_primary()
    state.write_text("4711\n/srv/data\n1790000000\n5432\n/run/postgresql\n*\n  1 2\nready   \n")
    (repository.DATA / "standby.signal").touch()
    assert not repository.may_be_primary()


class Host:
    """A primary on timeline 2 whose archive is a set of names, and pgBackRest as far as it is used. Timeline 1 ended in
    segment 48; its last backup began in segment 46.
    """

    def __init__(self, module: ModuleType, watch: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watch, self.folder, self.timeline = watch, folder, 2
        self.archive = {"00000001000000000000002E"}
        self.backups = [backup("full", 0, segment=0x2E)]
        self.locked = False
        self.calls: list[str] = []
        self.reachable, self.primary, self.created, self.copied = True, True, True, True
        self.made = backup("incr", 8 * HOUR, 2, 0x50)
        self.status = module.DATA / "pg_wal/archive_status"
        for name in wal(0x2E, 0x30):
            (module.DATA / "pg_wal" / name).touch()
            done = self.status / f"{name}.done"
            done.touch()
            os.utime(done, (BIRTH, BIRTH))
        (module.DATA / "pg_wal/00000002.history").write_text("1\t0/3000148\tno recovery target specified\n")
        module.CONFIGURATION.write_text("[global]\nrepo1-path=/pgbackrest/42\n")
        module.SIZES.write_text("wal_keep_size = '4MB'\nmax_slot_wal_keep_size = '9MB'\n")
        self.lost = folder / "home/42/lost"
        self.lost.mkdir(parents=True)
        for target, name, value in (
            (watch, "STATE", folder / "archive.json"),
            (watch, "pgbackrest", self.pgbackrest),
            (module, "stanza_info", self.info),
            (module, "primary", lambda: module.Primary("42", self.timeline, MIB) if self.primary else None),
        ):
            monkeypatch.setattr(target, name, value)

    def info(self) -> dict[str, Any]:
        if not self.reachable:
            raise self.watch.Failed("no route to host")
        return {"status": {"code": 0 if self.created else 1}, "backup": self.backups if self.created else []}

    def pgbackrest(self, *arguments: str) -> str:
        self.calls.append(" ".join(arguments))
        match arguments:
            case ("stanza-create",):
                if self.locked:
                    raise self.watch.Failed("[050]: unable to acquire lock")
                self.created = True
            case ("repo-ls", "archive/ha"):
                return "17-1\narchive.info\narchive.info.copy\n"
            case ("repo-ls", folder):
                # What a backup notes of a segment, and a half one, are no segments.
                others = ["00000001000000000000002F.00000028.backup", "000000010000000000000030.partial-0a1b.zst"]
                listed = [f"{name}-0a1b.zst" for name in self.archive] + others
                return "".join(f"{name}\n" for name in listed if folder == f"archive/ha/17-1/{name[:16]}")
        return ""

    def postgresql(self) -> None:
        """Archives what is ready."""
        for path in self.status.glob("*.ready"):
            self.archive.add(path.stem)
            path.rename(path.with_suffix(".done"))

    def ready(self) -> list[str]:
        return sorted(path.stem for path in self.status.glob("*.ready"))

    def look(self) -> dict[str, float]:
        """Its metrics."""
        self.calls.clear()
        self.watch.main()
        file = self.folder / "metrics/archive.prom"
        lines = file.read_text().splitlines() if file.exists() else []
        return {name: float(value) for name, value in (line.split() for line in lines)}


@pytest.fixture
def host(repository: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(repository, program(f"{LIBRARY}archive-watch"), tmp_path, monkeypatch)


LACKING = "00000001000000000000002F"


def test_a_new_primary_archives_what_the_lost_one_had_not(host: Host) -> None:
    assert host.look()["ha_archive_complete"] == 0
    assert host.calls == ["repo-ls archive/ha", "repo-ls archive/ha/17-1/0000000100000000"]
    assert host.ready() == [LACKING]
    assert host.look()["ha_archive_waiting_seconds"] < 60  # not since it was received
    assert host.ready() == [LACKING]
    host.postgresql()
    assert host.look()["ha_archive_complete"] == 1
    host.look()
    assert host.calls == []
    assert list(host.lost.iterdir()) == []


def test_a_segment_that_has_no_status_is_archived_too(host: Host) -> None:
    (host.status / f"{LACKING}.done").unlink()
    host.look()
    assert host.ready() == [LACKING]


def test_each_timeline_is_closed(host: Host) -> None:
    host.look()
    host.postgresql()
    host.look()
    host.timeline = 3
    (host.folder / "main/pg_wal/00000003.history").write_text("1\t0/3000148\tfirst\n2\t0/3200000\tsecond\n")
    for name in wal(0x30, 0x31, 2):
        (host.folder / "main/pg_wal" / name).touch()
    assert host.look()["ha_archive_complete"] == 0
    assert host.ready() == wal(0x30, 0x31, 2)


def test_what_no_node_has_is_a_hole_until_a_backup_began_after_it(host: Host, repository: ModuleType) -> None:
    (host.folder / "main/pg_wal" / LACKING).unlink()
    assert host.look()["ha_archive_complete"] == 0
    assert [path.name for path in host.lost.iterdir()] == [LACKING]
    assert host.ready() == []
    assert host.look()["ha_archive_complete"] == 0
    assert host.calls == []  # nothing is left to close
    repository.forget_lost("42", [*host.backups, backup("incr", 90, segment=0x2F)])
    assert host.look()["ha_archive_complete"] == 0
    repository.forget_lost("42", [*host.backups, backup("incr", 90, 2, 0x30)])
    assert host.look()["ha_archive_complete"] == 1


def test_a_hole_that_a_backup_began_after_is_none(host: Host) -> None:
    (host.folder / "main/pg_wal" / LACKING).unlink()
    host.backups.append(backup("incr", 90, 2, 0x30))
    assert host.look()["ha_archive_complete"] == 1


def test_wal_that_was_dropped_is_a_hole(host: Host) -> None:
    host.archive.add(LACKING)
    assert host.look()["ha_archive_complete"] == 1
    (host.lost / "000000020000000000000040").touch()
    assert host.look()["ha_archive_complete"] == 0


def test_what_a_node_noted_before_it_lost_the_role_is_looked_at_again(host: Host) -> None:
    (host.lost / "000000010000000000000020").touch()
    host.archive.add(LACKING)
    assert host.look()["ha_archive_complete"] == 1


def test_an_archive_that_cannot_be_asked_is_asked_again(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.reachable = False
    assert host.look()["ha_archive_complete"] == 0
    assert "no route to host" in capsys.readouterr().err
    assert host.ready() == []
    host.reachable = True
    host.look()
    assert host.ready() == [LACKING]


def test_a_stanza_of_the_other_node_is_not_created_again(host: Host) -> None:
    host.created = True
    host.look()
    assert "stanza-create" not in host.calls


def test_a_stanza_is_created_once(host: Host) -> None:
    host.created, host.timeline = False, 1
    host.locked = True
    assert host.look()["ha_archive_complete"] == 0
    host.locked = False
    assert host.look()["ha_archive_complete"] == 1
    assert host.calls == ["stanza-create"]
    host.look()
    assert host.calls == []


def test_a_stanza_that_cannot_be_created_keeps_a_hole_open(host: Host) -> None:
    host.created, host.locked = False, True
    assert host.look()["ha_archive_complete"] == 0
    assert not (host.folder / "home/42/closed").exists()


def test_what_waits_is_told_before_a_hole_is_closed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing one may take minutes."""
    host.archive.add(LACKING)
    told: list[dict[str, float]] = []
    monkeypatch.setattr(host.watch, "tell", told.append)
    host.look()
    assert [one["ha_archive_complete"] for one in told] == [0, 1]


def test_a_pair_that_never_failed_over_has_nothing_to_close(host: Host) -> None:
    host.timeline = 1
    assert host.look()["ha_archive_complete"] == 1
    assert host.calls == []


def test_what_waits_is_measured_against_the_queue(host: Host) -> None:
    host.archive.add(LACKING)
    assert host.look()["ha_archive_waiting_seconds"] == 0
    for name in ("000000020000000000000031", "000000020000000000000032"):
        (host.folder / f"main/pg_wal/archive_status/{name}.ready").touch()
    found = host.look()
    assert found["ha_archive_waiting_segments"] == 2
    assert found["ha_archive_queue_used_ratio"] == 0.5
    assert json.loads((host.folder / "archive.json").read_text())["waiting_segments"] == 2


def test_nothing_is_written_into_the_repository_of_another_pair(host: Host, repository: ModuleType) -> None:
    repository.CONFIGURATION.write_text("[global]\nrepo1-path=/pgbackrest/41\n")
    with pytest.raises(SystemExit):
        host.look()
    assert host.calls == []


def test_a_standby_exports_nothing(host: Host) -> None:
    assert host.look()
    host.primary = False
    assert host.look() == {}
    assert host.calls == []
    assert not (host.folder / "archive.json").exists()


@pytest.fixture
def due(host: Host, tmp_path: Path, repository: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = program(f"{LIBRARY}backup-due")
    monkeypatch.setattr(module, "STATE", tmp_path / "backups.json")
    monkeypatch.setattr(module.time, "time", lambda: BIRTH + 8 * HOUR)
    host.backups[:] = [backup("full", 0, 2)]
    monkeypatch.setattr(repository, "passphrase_is_copied", lambda: host.copied)

    def run(command: list[str], check: bool) -> Any:
        host.calls.append(" ".join(command))
        host.backups.append(host.made)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(module.subprocess, "run", run)
    return module


def exported(folder: Path) -> dict[str, float]:
    lines = (folder / "metrics/backup.prom").read_text().splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines)}


def test_a_due_backup_is_taken_and_the_newest_ones_are_exported(due: ModuleType, host: Host) -> None:
    assert due.main(7 * DAY, 6 * HOUR) == 0
    assert host.calls == ["/usr/local/sbin/ha-backup incr"]
    found = exported(host.folder)
    assert found['ha_backup_newest_timestamp_seconds{type="full"}'] == BIRTH
    assert found["ha_backup_repository_reachable"] == 1


def test_after_a_hole_a_backup_is_due_at_once(due: ModuleType, host: Host) -> None:
    host.backups[:] = [backup("full", 7 * HOUR, 2)]
    assert due.main(7 * DAY, 6 * HOUR) == 0
    assert host.calls == []
    (host.lost / "000000020000000000000040").touch()
    assert due.main(7 * DAY, 6 * HOUR) == 0
    assert host.calls == ["/usr/local/sbin/ha-backup incr"]
    assert list(host.lost.iterdir()) == []


def test_a_hole_stays_when_the_backup_began_before_it(due: ModuleType, host: Host) -> None:
    host.backups[:] = [backup("full", 7 * HOUR, 2)]
    (host.lost / "000000020000000000000060").touch()
    due.main(7 * DAY, 6 * HOUR)
    assert len(host.calls) == 1
    assert len(list(host.lost.iterdir())) == 1


def test_a_passphrase_without_its_copy_is_exported(due: ModuleType, host: Host) -> None:
    due.main(7 * DAY, 6 * HOUR)
    assert exported(host.folder)["ha_backup_passphrase_copied"] == 1
    host.copied = False
    due.main(7 * DAY, 6 * HOUR)
    assert exported(host.folder)["ha_backup_passphrase_copied"] == 0


def test_a_repository_that_cannot_be_read_is_exported_as_that(due: ModuleType, host: Host) -> None:
    host.reachable = False
    assert due.main(7 * DAY, 6 * HOUR) == 1
    assert host.calls == []
    assert exported(host.folder)["ha_backup_repository_reachable"] == 0


def test_without_a_stanza_nothing_is_due(due: ModuleType, host: Host) -> None:
    host.created = False
    assert due.main(7 * DAY, 6 * HOUR) == 0
    assert host.calls == []
    assert exported(host.folder)['ha_backup_newest_timestamp_seconds{type="any"}'] == 0


def test_a_standby_takes_no_backup(due: ModuleType, host: Host) -> None:
    due.main(7 * DAY, 6 * HOUR)
    host.primary = False
    host.calls.clear()
    assert due.main(7 * DAY, 6 * HOUR) == 0
    assert host.calls == []
    assert not (host.folder / "metrics/backup.prom").exists()


def test_the_error_of_an_unreadable_repository_is_said(repository: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stanza = {"name": "ha", "status": {"code": 99}, "repo": [{"status": {"code": 99, "message": "[HostConnect]"}}]}
    monkeypatch.setattr(repository, "pgbackrest", lambda *arguments: json.dumps([stanza]))
    with pytest.raises(repository.Failed, match="HostConnect"):
        repository.stanza_info()
    monkeypatch.setattr(repository, "pgbackrest", lambda *arguments: "[]")
    assert repository.stanza_info()["status"]["code"] in repository.NO_STANZA

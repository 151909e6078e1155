"""What of the archive is missing after a failover, and which backup is due."""

from __future__ import annotations

import json
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
    (tmp_path / "main/pg_wal/archive_status").mkdir(parents=True)
    return repository


HOUR, DAY = 3600, 86400
BIRTH = 20_000 * DAY


def backup(kind: str, age_s: int, timeline: int = 1) -> dict[str, Any]:
    """A backup that began when the pair was so old."""
    first, start = f"{timeline:08X}0000000000000007", BIRTH + age_s
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


def test_only_complete_segments_of_earlier_timelines_count(repository: ModuleType) -> None:
    names = [
        "00000001000000000000002E",  # timeline 1, 46 MiB
        "00000001000000000000002F",  # ends at 48 MiB, before the switch
        "000000010000000000000030",  # the switch is in it
        "000000010000000000000030.partial",
        "000000020000000000000030",
        "000000020000000100000001",  # ends where the timeline does
        "000000020000000100000002",  # a recycled one, of a time that never came
        "000000030000000100000002",  # the timeline of now
        "00000003.history",
        "archive_status",
    ]
    found = repository.ended_before(names, repository.switches(HISTORY), MIB)
    assert found == [names[0], names[1], names[4], names[5]]


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
    """A primary on timeline 2 whose archive is a set of names, and pgBackRest as far as it is used."""

    def __init__(self, module: ModuleType, watch: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watch, self.folder, self.timeline = watch, folder, 2
        self.archive = {"00000001000000000000002E"}
        self.locked = False
        self.calls: list[str] = []
        self.reachable, self.primary, self.created = True, True, False
        for name in ("00000001000000000000002E", "00000001000000000000002F", "000000010000000000000030"):
            (module.DATA / "pg_wal" / name).touch()
        (module.DATA / "pg_wal/00000002.history").write_text("1\t0/3000148\tno recovery target specified\n")
        module.CONFIGURATION.write_text("[global]\nrepo1-path=/pgbackrest/42\narchive-push-queue-max=4MiB\n")
        (folder / "home/42").mkdir(parents=True)
        for target, name, value in (
            (watch, "HOME", folder / "home"),
            (watch, "STATE", folder / "archive.json"),
            (watch, "pgbackrest", self.pgbackrest),
            (module, "stanza_info", lambda: {"status": {"code": 0 if self.created else 1}}),
            (module, "primary", lambda: module.Primary("42", self.timeline, MIB) if self.primary else None),
        ):
            monkeypatch.setattr(target, name, value)

    def pgbackrest(self, *arguments: str) -> str:
        self.calls.append(" ".join(arguments).replace(f"{self.folder}/", ""))
        if not self.reachable:
            raise self.watch.Failed("no route to host")
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
            case (*_, "archive-push", path):
                self.archive.add(Path(path).name)
        return ""

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


def test_a_new_primary_archives_what_the_lost_one_had_not(host: Host) -> None:
    assert host.look()["ha_archive_complete"] == 1
    assert host.calls == [
        "stanza-create",
        "repo-ls archive/ha",
        "repo-ls archive/ha/17-1/0000000100000000",
        "--no-archive-async --archive-push-queue-max=1PiB archive-push main/pg_wal/00000001000000000000002F",
    ]
    host.look()
    assert host.calls == []


def test_each_timeline_is_closed(host: Host) -> None:
    host.look()
    host.timeline = 3
    (host.folder / "main/pg_wal/00000003.history").write_text("1\t0/3000148\tfirst\n2\t0/3200000\tsecond\n")
    (host.folder / "main/pg_wal/000000020000000000000031").touch()
    host.look()
    assert "000000020000000000000031" in host.archive


def test_what_could_not_be_archived_is_tried_again(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.reachable = False
    assert host.look()["ha_archive_complete"] == 0
    assert "no route to host" in capsys.readouterr().err
    host.reachable = True
    assert host.look()["ha_archive_complete"] == 1
    assert "00000001000000000000002F" in host.archive


def test_a_stanza_of_the_other_node_is_not_created_again(host: Host) -> None:
    host.created = True
    host.look()
    assert "stanza-create" not in host.calls


def test_a_push_that_holds_pgbackrests_lock_keeps_no_hole_open(host: Host) -> None:
    host.locked = True
    assert host.look()["ha_archive_complete"] == 0
    assert "00000001000000000000002F" in host.archive


def test_what_waits_is_told_before_a_hole_is_closed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing one may take minutes."""
    told: list[dict[str, float]] = []
    monkeypatch.setattr(host.watch, "tell", told.append)
    host.look()
    assert [one["ha_archive_complete"] for one in told] == [0, 1]


def test_a_pair_that_never_failed_over_has_nothing_to_close(host: Host) -> None:
    host.timeline = 1
    assert host.look()["ha_archive_complete"] == 1
    assert host.calls == ["stanza-create"]


def test_what_waits_is_measured_against_the_queue(host: Host) -> None:
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
    monkeypatch.setattr(repository, "stanza_info", lambda: {"status": {"code": 0}, "backup": [backup("full", 0, 2)]})

    def run(command: list[str], check: bool) -> Any:
        host.calls.append(" ".join(command))
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


def test_a_repository_that_cannot_be_read_is_exported_as_that(
    due: ModuleType, host: Host, repository: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> None:
        raise repository.Failed("pgbackrest info: no route to host")

    monkeypatch.setattr(repository, "stanza_info", unreadable)
    assert due.main(7 * DAY, 6 * HOUR) == 1
    assert host.calls == []
    assert exported(host.folder)["ha_backup_repository_reachable"] == 0


def test_without_a_stanza_nothing_is_due(
    due: ModuleType, host: Host, repository: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "stanza_info", lambda: {"status": {"code": 3}, "backup": []})
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

"""The row that the primary writes each minute."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spec.settings import BackupSettings
from tests.unit.cloud_init.rendering import files_of, program

UNITS = "/etc/systemd/system/"


class Host:
    """A node, and the statements that it ran."""

    def __init__(self, canary: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.canary, self.metrics = canary, folder / "metrics"
        self.primary, self.refuses = True, ""
        self.ran: list[str] = []
        repository = sys.modules["repository"]
        monkeypatch.setattr(repository, "METRICS", self.metrics)
        monkeypatch.setattr(repository, "primary", lambda: repository.Primary("42", 1, 1) if self.primary else None)
        monkeypatch.setattr(canary, "sql", self.sql)

    def sql(self, query: str) -> str:
        self.ran.append(query)
        if self.refuses:
            raise self.canary.Failed(self.refuses)
        return "1796098006.992227"

    def exported(self) -> str:
        file = self.metrics / "canary.prom"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(program("db/files/usr/local/lib/ha/canary"), tmp_path, monkeypatch)


def test_the_primary_writes_a_row_and_exports_its_time(host: Host) -> None:
    host.canary.main(23)
    assert host.exported() == "ha_canary_timestamp_seconds 1796098006.992227\n"
    (statement,) = host.ran
    assert "insert into ha.canary" in statement
    assert "delete from ha.canary where at < now() - interval '23 days'" in statement
    assert statement.startswith("set synchronous_commit = local;")  # it waits for no standby


def test_a_standby_writes_nothing_and_exports_nothing(host: Host) -> None:
    host.canary.main(23)
    host.primary = False
    host.canary.main(23)
    assert len(host.ran) == 1
    assert host.exported() == ""


def test_a_refused_row_is_said_and_the_time_of_the_last_one_stays(host: Host) -> None:
    host.canary.main(23)
    host.refuses = "psql: no answer within 10 s"
    with pytest.raises(SystemExit, match="<4>psql: no answer within 10 s"):
        host.canary.main(23)
    assert host.exported()


def unit(name: str, **settings: object) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    found.read_string(files_of("db1", **settings)[f"{UNITS}{name}"])
    return found


def test_rows_are_kept_as_long_as_backups_are() -> None:
    backups = BackupSettings(retention_days=30, full_every_days=5)
    found = unit("ha-canary.service", backups=backups.model_dump())
    assert found["Service"]["ExecStart"] == "/usr/local/lib/ha/canary 37"


def test_it_runs_each_minute_and_ends_within_20_seconds() -> None:
    timer, service = unit("ha-canary.timer")["Timer"], unit("ha-canary.service")["Service"]
    assert (timer["OnCalendar"], timer["AccuracySec"]) == ("minutely", "1s")
    assert int(service["TimeoutStartSec"]) + int(service["TimeoutStopSec"]) <= 20


def test_its_table_is_made_before_the_timer_starts() -> None:
    files = files_of("db1")
    assert "CREATE SCHEMA ha CREATE TABLE canary (" in files["/usr/local/lib/ha/database.sql"]
    step = files["/usr/local/lib/ha/steps/60-database"]
    assert step.index("\nha-database\n") < step.index("ha-canary.timer")

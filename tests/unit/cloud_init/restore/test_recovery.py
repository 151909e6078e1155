"""The reasons for which a restore fails, out of what pgBackRest and PostgreSQL say, and what a request may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import program

FOLDER = "restore/files/usr/local"
recovery = program(f"{FOLDER}/lib/ha/recovery.py")
restore = program(f"{FOLDER}/sbin/ha-restore")
LABEL = "20261201-120000F"
NOT_REACHED = "FATAL:  recovery ended before configured recovery target was reached"
LAST = "LOG:  last completed transaction was at log time 2026-12-01 13:10:04.25+00"
REQUEST: dict[str, Any] = {
    "system_identifier": "7312",
    "backup": LABEL,
    "target": {"type": "newest", "value": None, "exclusive": False},
    "timeline": None,
}


@pytest.mark.parametrize(
    ("log", "kind", "status", "why"),
    [
        ([LAST, NOT_REACHED], "time", 4, "the archive ends at 2026-12-01 13:10:04.25 UTC"),
        (['LOG:  restored log file "000000010000000000000029" from archive', LAST, NOT_REACHED], "lsn", 4, "ends at"),
        (['LOG:  restored log file "000000010000000000000019" from archive', LAST, NOT_REACHED], "lsn", 4, "missing"),
        (['LOG:  restored log file "000000020000000000000019" from archive', LAST, NOT_REACHED], "lsn", 4, "ends at"),
        ([NOT_REACHED], "time", 4, f"no transaction after the backup {LABEL}"),
        ([LAST, NOT_REACHED], "xid", 4, "did not end between"),
        (["FATAL:  requested recovery stop point is before consistent recovery point"], "lsn", 4, "an earlier backup"),
        (["FATAL:  recovery target timeline 9 does not exist"], "newest", 4, "no such timeline"),
        (["FATAL:  WAL ends before end of online backup"], "newest", 4, "the archive lacks WAL"),
        (["FATAL:  could not locate required checkpoint record at 0/1500080"], "newest", 4, "the archive lacks WAL"),
        (['PANIC:  could not write to file "x": No space left on device'], "newest", 5, "the volume is full"),
        (
            [
                "ERROR: [042]: raised from local-1 protocol: unable to get A:\n       repo1: A.zst [CryptoError] x",
                'FATAL:  could not restore file "A" from archive: child process exited with exit code 200',
            ],
            "newest",
            1,
            "ERROR: [042]: raised from local-1 protocol: unable to get A: repo1: A.zst [CryptoError]",
        ),
        (["FATAL:  something else"], "newest", 1, "something else"),
        ([""], "newest", 1, "no reason"),
    ],
)
def test_a_recovery_that_fails_says_why_in_one_sentence(log: list[str], kind: str, status: int, why: str) -> None:
    failed = recovery.failure("\n".join(log), recovery.Target(kind, "42"), LABEL, "000000010000000000000029")
    assert failed.status == status
    assert why in str(failed)
    assert "\n" not in str(failed)


@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        ("[029]: raised from local-2 protocol: zst error: [-20] Data corruption detected", 1, "is damaged"),
        ("[026]: error restoring '/x/1259': actual checksum 'a' does not match expected checksum 'b'", 1, "'/x/1259'"),
        ("[055]: unable to open missing file '/p/backup/ha/x/bundle/1' for read", 1, "is damaged"),
        ("[055]: unable to open missing file '/p/archive/ha/17-1/00000007.history' for read", 4, "no timeline 7"),
        ("[041]: unable to write '/x': [28] No space left on device", 5, "the volume is full"),
        ("[039]: HTTP request failed with 403 (Forbidden)", 1, "pgbackrest restore: [039]"),
    ],
)
def test_a_backup_that_cannot_be_fetched_is_told_from_a_damaged_one(error: str, status: int, why: str) -> None:
    failed = restore.unfetched(LABEL, error)
    assert (failed.status, why in str(failed)) == (status, True), str(failed)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"type": "time", "value": "2026-12-01 14:05:00+00", "exclusive": False}, "2026-12-01 14:05:00.000000+00"),
        (
            {"type": "time", "value": "2026-12-01T14:05:00.25+01:00", "exclusive": False},
            "2026-12-01 13:05:00.250000+00",
        ),
        ({"type": "lsn", "value": "0/3000148", "exclusive": False}, "0/3000148"),
        ({"type": "xid", "value": "7421", "exclusive": True}, "7421"),
        ({"type": "newest", "value": None, "exclusive": False}, None),
    ],
)
def test_a_request_is_taken_with_its_time_in_utc(given: dict[str, Any], value: str | None) -> None:
    assert restore.request(json.dumps(REQUEST | {"target": given})).target.value == value


@pytest.mark.parametrize(
    "wrong",
    [
        {"system_identifier": "7312/../1"},
        {"system_identifier": 7312},
        {"backup": "../../etc"},
        {"timeline": "1"},
        {"more": 1},
        {"target": {"type": "time", "value": "2026-12-01 14:05", "exclusive": False}},
        {"target": {"type": "time", "value": "yesterday", "exclusive": False}},
        {"target": {"type": "lsn", "value": "0/3'", "exclusive": False}},
        {"target": {"type": "xid", "value": None, "exclusive": False}},
        {"target": {"type": "name", "value": "x", "exclusive": False}},
    ],
)
def test_a_wrong_request_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(restore.Failed) as refused:
        restore.request(json.dumps(REQUEST | wrong))
    assert refused.value.status == 2


def test_pgbackrest_is_given_the_target_and_never_archives() -> None:
    def options(kind: str, value: str | None, exclusive: bool = False, timeline: int | None = None) -> list[str]:
        return list(
            restore.options(restore.Request("7", None, restore.Target(kind, value, exclusive), timeline), LABEL)
        )

    newest = options("newest", None)
    assert {"--type=default", f"--set={LABEL}", "--archive-mode=off", "--target-timeline=latest"} <= set(newest)
    assert not any(one.startswith(("--target=", "--target-action")) for one in newest)
    before = options("xid", "7421", exclusive=True, timeline=3)
    assert {"--type=xid", "--target=7421", "--target-exclusive", "--target-action=promote"} <= set(before)
    assert "--target-timeline=3" in before
    assert "--target-exclusive" not in options("time", "2026-12-01 14:05:00.000000+00")


def test_of_the_estates_own_settings_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "postgresql.auto.conf"
    monkeypatch.setattr(recovery, "AUTO_CONF", conf)
    own = "# Recovery settings generated by pgBackRest restore on 2026-12-01 04:37:15\nrestore_command = 'x'\n"
    conf.write_text("listen_addresses = '*'\nshared_preload_libraries = 'gone'\n\n" + own)
    recovery.drop_settings_of_the_estate()
    assert conf.read_text() == own
    conf.write_text("listen_addresses = '*'\n")
    recovery.drop_settings_of_the_estate()
    assert conf.read_text() == ""


def test_a_recovery_of_another_timeline_than_the_newest_segments_is_not_held_against_it() -> None:
    done = {"lsn": "0/19FFFFF", "timeline": 2}
    assert recovery.ended_early(done, "000000010000000000000029", 2**20)
    assert not recovery.ended_early(done, "000000030000000000000029", 2**20)
    assert not recovery.ended_early(done, "", 2**20)


def test_a_segments_position_does_not_depend_on_its_timeline() -> None:
    assert recovery.position("000000020000000100000003", 2**20) == 2**32 + 3 * 2**20
    assert recovery.position("0000000A0000000000000015", 2**24) == 0x15 * 2**24

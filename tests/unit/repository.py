"""A repository that is made up, in the form in which pgBackRest and `ha-backups` describe one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

SYSTEM_ID = 7_577_777_777_777_777_777
SEGMENT = 2**20
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
"""When the backups of these tests begin."""


def at(hours: float) -> int:
    """Seconds since 1970, so many hours after noon."""
    return int(NOON.timestamp() + hours * 3600)


def wal(position: int, timeline: int = 1) -> str:
    """The name of a segment."""
    log, segment = divmod(position, 2**32 // SEGMENT)
    return f"{timeline:08X}{log:08X}{segment:08X}"


def label(started: int, full: str = "") -> str:
    """As pgBackRest makes it; `full`: the label of the full backup that an incremental one needs."""
    time = f"{datetime.fromtimestamp(started, UTC):%Y%m%d-%H%M%S}"
    return f"{full}_{time}I" if full else f"{time}F"


def backup(
    started: int, stopped: int, prior: str | None = None, segments: tuple[str, str] = (wal(2), wal(2)), **changed: Any
) -> dict[str, Any]:
    """One entry of `backup`. Without a `prior` a full one."""
    full = prior[:16] if prior else ""
    sizes = {"size": 180_355_072, "delta": 9_437_184 if prior else 180_355_072}
    return {
        "archive": {"start": segments[0], "stop": segments[1]},
        "backrest": {"format": 5, "version": "2.55.1"},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {**sizes, "repository": {"delta": sizes["delta"] // 8, "delta-map": [12], "size-map": [12]}},
        "label": label(started, full),
        "lsn": {"start": "0/2000028", "stop": "0/2000120"},
        "prior": prior,
        "reference": [full] if prior else None,
        "timestamp": {"start": started, "stop": stopped},
        "type": "incr" if prior else "full",
        **changed,
    }


def stanza(
    backups: Sequence[Mapping[str, Any]] = (),
    *,
    code: int = 0,
    message: str = "ok",
    lock: Mapping[str, Any] | None = None,
    newest_wal: str | None = None,
) -> dict[str, Any]:
    """pgBackRest's document on one stanza."""
    known = code in (0, 2)
    return {
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "17-1", "max": newest_wal, "min": None}]
        if known
        else [],
        "backup": list(backups),
        "cipher": "aes-256-cbc",
        "db": [{"id": 1, "repo-key": 1, "system-id": SYSTEM_ID, "version": "17"}] if known else [],
        "name": "ha",
        "repo": [{"cipher": "aes-256-cbc", "key": 1, "status": {"code": code, "message": message}}],
        "status": {
            "code": code,
            "lock": {"backup": lock or {"held": False}},
            "message": "other" if code == 99 else message,
        },
    }


def run(first: int, last: int, archived: int, timeline: int = 1) -> dict[str, Any]:
    return {"first": wal(first, timeline), "last": wal(last, timeline), "archived": archived}


def archived(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"segment_bytes": SEGMENT, "runs": list(runs)}


def described(told: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The document of `ha-backups`."""
    return {
        "info": [told],
        "system_identifier": str(SYSTEM_ID),
        "archiver": {
            "last_archived_wal": wal(40),
            "last_archived_time": "2026-12-01T19:59:30.123456+00:00",
            "failed_count": 0,
            "last_failed_time": None,
            "ready": 0,
        },
        "wal": archived(run(1, 40, at(8))),
        **changed,
    }


def usual() -> list[dict[str, Any]]:
    """A full backup of noon and an incremental one of six hours later."""
    full = backup(at(0), at(0) + 60)
    return [full, backup(at(6), at(6) + 6, full["label"], (wal(20), wal(21)))]

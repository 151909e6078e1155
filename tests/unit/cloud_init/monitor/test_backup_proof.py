"""What the monitor makes of the newest proof: metrics, whatever somebody put there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.proof import Proof
from spec.proofs import NEWEST_PROOF_KEY
from tests.unit.cloud_init.rendering import program

AT = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
NOW = AT.timestamp() + 3600
GOOD = Proof(
    at=AT,
    good=True,
    backup="20261201-060000F",
    recovered_until=AT,
    rpo_s=41.5,
    restore_s=63.0,
    bytes=180_355_072,
)


class Monitor:
    def __init__(self, module: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.folder = module, folder
        self.now, self.status, self.body = NOW, 404, b""
        monkeypatch.setattr(module, "METRICS", folder / "metrics/backup-proof.prom")
        monkeypatch.setattr(module, "AWAITED", folder / "awaited-proof")
        monkeypatch.setattr(module, "client", lambda service: self)
        monkeypatch.setattr(module, "environment", lambda: {"HA_ARTIFACT_BUCKET": "artifacts"})
        monkeypatch.setattr(module.time, "time", lambda: self.now)

    def get_object(self, *, Bucket: str, Key: str) -> Any:
        assert (Bucket, Key) == ("artifacts", NEWEST_PROOF_KEY)
        if self.status != 200:
            response: Any = {"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": self.status}}
            raise ClientError(response, "GetObject")
        return {"Body": type("Body", (), {"read": lambda _, most: self.body[:most]})()}

    def look(self, proof: Proof | bytes | None = None) -> dict[str, float]:
        """Its metrics, without what all their names begin with."""
        if proof is not None:
            self.status, self.body = 200, proof if isinstance(proof, bytes) else proof.model_dump_json().encode()
        self.module.main()
        lines = (self.folder / "metrics/backup-proof.prom").read_text().splitlines()
        return {name.removeprefix("ha_backup_proof_"): float(value) for name, value in (one.split() for one in lines)}


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Monitor:
    return Monitor(program("monitor/files/usr/local/lib/ha/backup-proof"), tmp_path, monkeypatch)


def test_a_good_proof_is_exported(monitor: Monitor) -> None:
    assert monitor.look(GOOD) == {
        "awaited_timestamp_seconds": AT.timestamp(),
        "timestamp_seconds": AT.timestamp(),
        "good": 1,
        "rpo_seconds": 41.5,
        "restore_seconds": 63,
    }


def test_after_a_failed_proof_a_good_one_is_awaited_since_the_last(monitor: Monitor) -> None:
    monitor.look(GOOD)
    failed = Proof(at=datetime.fromtimestamp(NOW, UTC), good=False, why="no room")
    assert monitor.look(failed) == {
        "awaited_timestamp_seconds": AT.timestamp(),
        "timestamp_seconds": NOW,
        "good": 0,
    }


@pytest.mark.parametrize("status", [403, 404])
def test_before_the_first_proof_it_is_awaited_since_the_first_look(monitor: Monitor, status: int) -> None:
    monitor.status = status
    first = monitor.look()
    assert list(first) == ["awaited_timestamp_seconds"]
    assert monitor.look() == first


def test_an_s3_that_does_not_answer_is_not_taken_for_no_proof(monitor: Monitor) -> None:
    monitor.look(GOOD)
    monitor.status = 503
    with pytest.raises(ClientError):
        monitor.look()
    assert (monitor.folder / "metrics/backup-proof.prom").exists()


SAID: dict[str, Any] = json.loads(GOOD.model_dump_json())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 50_000,
        b'{"good": true}',
        GOOD.model_dump_json().encode() + b" " * 65_536,
        *(
            json.dumps({**SAID, **changed}).encode()
            for changed in (
                {"good": 1},
                {"at": "2026-12-01T12:00:00"},
                {"at": "2026-12-02T12:00:00Z"},
                {"at": "soon"},
                {"at": 1796098006},
                {"rpo_s": None},
                {"rpo_s": -1},
                {"rpo_s": float("nan")},
                {"rpo_s": float("inf")},
                {"restore_s": True},
                {"restore_s": "60\nup 0"},
            )
        ),
    ],
)
def test_what_is_no_proof_is_refused_and_changes_nothing(monitor: Monitor, body: bytes) -> None:
    before = monitor.look(GOOD)
    with pytest.raises(SystemExit, match=r"<4>proofs/newest\.json is no proof: "):
        monitor.look(body)
    assert monitor.look(GOOD) == before

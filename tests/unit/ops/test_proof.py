"""Proofs in the artifact bucket: the newest ones, in order, and nothing that is no proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from ops.proof import SHOWN, Proof, newest, read_all, write
from spec.errors import HaError
from tests.unit.conftest import Bucket

AT = datetime(2026, 12, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def good(**changed: Any) -> Proof:
    known = {"at": AT, "good": True, "backup": "20261201-060000F", "rpo_s": 41.5, "restore_s": 63}
    return Proof.model_validate({**known, **changed})


def test_without_a_proof_there_is_none(bucket: Bucket) -> None:
    assert newest(bucket.s3, bucket.name) is None
    assert read_all(bucket.s3, bucket.name) == []


def test_the_newest_is_there_twice_and_listed_once(bucket: Bucket) -> None:
    failed = Proof(at=AT + timedelta(days=7), good=False, why="no room")
    write(bucket.s3, bucket.name, good())
    write(bucket.s3, bucket.name, failed)
    assert newest(bucket.s3, bucket.name) == failed
    assert read_all(bucket.s3, bucket.name) == [failed, good()]
    assert bucket.get("proofs/2026-12-01T12:00:00Z.json") == f"{good().model_dump_json()}\n".encode()


def test_the_newest_ones_are_read(bucket: Bucket) -> None:
    for day in range(SHOWN + 2):
        write(bucket.s3, bucket.name, good(at=AT + timedelta(days=day)))
    found = [one.at for one in read_all(bucket.s3, bucket.name)]
    assert found == [AT + timedelta(days=day) for day in range(SHOWN + 1, 1, -1)]


def test_its_key_has_the_time_in_utc() -> None:
    there = AT.astimezone(timezone(timedelta(hours=-5)))
    assert good(at=there).key == good().key


@pytest.mark.parametrize(
    "changed",
    [
        {"good": False},
        {"why": "no room"},
        {"backup": None},
        {"rpo_s": None},
        {"restore_s": None},
        {"rpo_s": float("nan")},
        {"rpo_s": -1},
        {"at": "2026-12-01T12:00:00"},
        {"backup": "newest"},
        {"good": False, "why": "x" * 1001},
    ],
)
def test_a_proof_that_says_half_is_none(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        good(**changed)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"at": "soon", "good": true}'])
def test_what_is_no_proof_is_named(bucket: Bucket, body: bytes) -> None:
    bucket.put("proofs/2026-12-01T12:00:00Z.json", body)
    with pytest.raises(HaError, match="this is no proof of a backup: ") as raised:
        read_all(bucket.s3, bucket.name)
    assert raised.value.where == f"s3://{bucket.name}/proofs/2026-12-01T12:00:00Z.json"

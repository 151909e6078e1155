"""The record of a roll-out: what it says to the next `up`, and that two writers notice each other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.objects import Conflict, replace
from ops.record import HostProgress, RollOutRecord, closed, key, opened, read, settles, write
from spec.errors import HaError
from spec.pointer import Pointer
from spec.tiers import Tier
from tests.unit.conftest import Bucket

OLD, NEW = Pointer(bundle="a" * 64, release="c" * 64), Pointer(bundle="b" * 64, release="c" * 64)
BEGAN = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def _begin(last: RollOutRecord | None) -> RollOutRecord:
    """A roll-out as an `up` begins it: with the number that the program gives the pointer."""
    return opened(last, tier=Tier.APP, before=OLD, to=NEW, began=BEGAN, settles=settles(last))


def test_the_pointer_changes_exactly_while_a_roll_out_is_open() -> None:
    assert settles(None) == 0
    first = _begin(None)
    pointer = 0  # what the pointer was last written with
    assert settles(first) != pointer  # it died: the next `up` settles
    assert settles(closed(first, "done")) == pointer
    second = _begin(first)
    assert settles(second) != pointer  # the settling one died too
    third = _begin(second)
    pointer = third.settles  # it succeeded: the pointer is written
    assert settles(third) != pointer
    assert settles(closed(third, "done")) == pointer
    assert _begin(closed(third, "done")).settles == pointer


def test_a_roll_out_that_began_says_from_where_to_where(bucket: Bucket) -> None:
    began = _begin(None)
    assert (began.open, began.hosts, began.before, began.to, began.began) == (True, {}, OLD, NEW, BEGAN)
    assert began.id != _begin(None).id
    write(bucket.s3, bucket.name, began)
    stored = json.loads(bucket.get("operations/roll-out/app"))
    assert stored["from"] == {"bundle": "a" * 64, "release": "c" * 64}
    assert "etag" not in stored


def test_what_was_written_is_read_again(bucket: Bucket) -> None:
    assert read(bucket.s3, bucket.name, Tier.APP) is None
    assert read(bucket.s3, "ha-of-nobody", Tier.APP) is None
    record = write(bucket.s3, bucket.name, _begin(None))
    record = record.model_copy(update={"hosts": {"app1": HostProgress.CONFIRMED}})
    record = write(bucket.s3, bucket.name, record)
    record = write(bucket.s3, bucket.name, closed(record, "every host runs it"))
    assert read(bucket.s3, bucket.name, Tier.APP) == record
    write(bucket.s3, bucket.name, _begin(record))
    assert read(bucket.s3, bucket.name, Tier.DB) is None


@pytest.mark.parametrize("first", [True, False])
def test_a_second_writer_is_noticed(bucket: Bucket, first: bool) -> None:
    last = None if first else write(bucket.s3, bucket.name, closed(_begin(None), "done"))
    one, two = _begin(last), _begin(last)
    write(bucket.s3, bucket.name, one)
    with pytest.raises(HaError, match="another operation has written the record of the roll-out of app"):
        write(bucket.s3, bucket.name, two)
    found = read(bucket.s3, bucket.name, Tier.APP)
    assert found is not None
    assert found.id == one.id


def test_a_write_whose_answer_was_lost_is_recognised(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def written_but_refused(*arguments: Any) -> str:
        replace(*arguments)
        raise Conflict

    with monkeypatch.context() as lossy:
        lossy.setattr("ops.objects.replace", written_but_refused)
        record = write(bucket.s3, bucket.name, _begin(None))
    write(bucket.s3, bucket.name, closed(record, "done"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "Input should be"),
        (b'{"id": "1"}', "tier: Field required"),
        (_begin(None).model_dump_json(by_alias=True).replace("a" * 64, "a" * 63).encode(), "from.bundle"),
        (_begin(None).model_dump_json(by_alias=True).replace('"tier":"app"', '"tier":"db"').encode(), "tier db"),
    ],
)
def test_a_damaged_record_is_told(bucket: Bucket, body: bytes, why: str) -> None:
    bucket.put(key(Tier.APP), body)
    with pytest.raises(HaError, match="the record of the last roll-out of app is damaged") as failed:
        read(bucket.s3, bucket.name, Tier.APP)
    assert why in failed.value.what
    assert failed.value.where == f"s3://{bucket.name}/operations/roll-out/app"

"""The record of a tier's roll-out in the artifact bucket: written before its first host, closed last.

While a record is open, hosts may run either version. So the program then gives the tier's pointer another input
(`settles`), and the next `up` rolls out again, whatever it wants.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from ops import objects
from spec.errors import HaError
from spec.pointer import Pointer
from spec.tiers import Tier


class HostProgress(StrEnum):
    """How far a host is. One that was not touched is not in the record."""

    CHANGED = "changed"
    """It was told to apply the new version, and is not confirmed."""
    CONFIRMED = "confirmed"
    """It passed its gate and was told so: it keeps the new version."""
    RETURNED = "returned"
    """It runs the old version again."""


class RollOutRecord(BaseModel):
    """The document. `etag`, the version of the object that it was read from or written as, is not part of it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str
    tier: Tier
    before: Pointer = Field(alias="from")
    to: Pointer
    began: AwareDatetime
    hosts: dict[str, HostProgress] = {}
    open: bool
    outcome: str = ""
    settles: NonNegativeInt = 0
    etag: str = Field("", exclude=True)


def key(tier: Tier) -> str:
    return f"operations/roll-out/{tier.value}"


def settles(record: RollOutRecord | None) -> int:
    """The input `settles` of a tier's pointer, from the record of its last roll-out.

    A record keeps the number that its own roll-out was given. While it is open the next number is given: the engine
    sees a change of the pointer even if the version is the one that the pointer names, and the roll-out's hook runs.
    When it is closed, the number that the pointer was written with is given again, and there is no change.
    """
    if record is None:
        return 0
    return record.settles + 1 if record.open else record.settles


def opened(
    last: RollOutRecord | None, *, tier: Tier, before: Pointer, to: Pointer, began: datetime, settles: int
) -> RollOutRecord:
    """The record of a roll-out that begins, in place of the tier's last one; `settles` is the pointer's new input."""
    return RollOutRecord(
        id=uuid.uuid4().hex,
        tier=tier,
        before=before,
        to=to,
        began=began,
        open=True,
        settles=settles,
        etag=last.etag if last else "",
    )


def closed(record: RollOutRecord, outcome: str) -> RollOutRecord:
    """The record of a roll-out that ended with every host on one version, the old one or the new one."""
    return record.model_copy(update={"open": False, "outcome": outcome})


def read(s3: Any, bucket: str, tier: Tier) -> RollOutRecord | None:
    """The record of a tier's last roll-out. None without one, and before the bucket exists.

    :raises HaError: when it is damaged, or S3 refuses or cannot be reached.
    """
    stored = objects.read(s3, bucket, key(tier))
    if stored.body is None:
        return None
    try:
        record = RollOutRecord.model_validate_json(stored.body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _unreadable(bucket, tier, f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg']}") from None
    if record.tier is not tier:
        raise _unreadable(bucket, tier, f"it is the record of the tier {record.tier.value}")
    return record.model_copy(update={"etag": stored.etag})


def write(s3: Any, bucket: str, record: RollOutRecord) -> RollOutRecord:
    """Write a record over the version that it came from; returns it as written, for the next write.

    :raises HaError: when another operation has written the record meanwhile, or S3 refuses or cannot be reached.
    """
    body = f"{record.model_dump_json(by_alias=True, indent=2)}\n".encode()
    try:
        etag = objects.replace(s3, bucket, key(record.tier), body, record.etag)
    except objects.Conflict:
        stored = objects.read(s3, bucket, key(record.tier))
        if stored.body != body:  # the same: S3 had made the write whose answer was lost
            raise HaError(
                f"another operation has written the record of the roll-out of {record.tier.value}",
                where=objects.url(bucket, key(record.tier)),
                fix="only one operation may run on an estate: see `ha unlock`; then run `pulumi up` again",
            ) from None
        etag = stored.etag
    return record.model_copy(update={"etag": etag})


def _unreadable(bucket: str, tier: Tier, why: str) -> HaError:
    return HaError(
        f"the record of the last roll-out of {tier.value} is damaged: {why}",
        where=objects.url(bucket, key(tier)),
        fix="restore an earlier version of the object (the bucket keeps them for 30 days)",
    )

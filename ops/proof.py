"""Proofs that a backup can be restored: each restored one, checked it, and said how old its newest row was.

They are small documents in the artifact bucket. One is never changed; the newest is there a second time, under a key of
its own, for the monitor, which may read nothing else of them.
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ops import objects
from ops.labels import Label
from spec.errors import HaError
from spec.proofs import NEWEST_PROOF_KEY, PROOFS_PREFIX

SHOWN: Final = 20
"""So many of the newest ones are read."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Proof(BaseModel):
    """One restore of `backup`, which ended at `at`. `why`: what was wrong; empty when it is good.

    `recovered_until`: the last transaction that was replayed. `rpo_s`: how old the newest row of `ha.canary` was when
    the restore began. `restore_s`: how long it took until the database answered. `bytes`: of the restored database.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    good: bool
    why: Annotated[str, StringConstraints(max_length=1000)] = ""
    backup: Label | None = None
    recovered_until: AwareDatetime | None = None
    rpo_s: Seconds | None = None
    restore_s: Seconds | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.good == bool(self.why):
            raise ValueError("a proof is good or says why not")
        if self.good and None in (self.backup, self.rpo_s, self.restore_s):
            raise ValueError("a good proof says of which backup it is, how old its newest row was, how long it took")
        return self

    @property
    def key(self) -> str:
        """In the order of time."""
        return f"{PROOFS_PREFIX}{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}.json"


def write(s3: Any, bucket: str, proof: Proof) -> None:
    """Keep it, and make it the newest one. :raises HaError: when S3 refuses."""
    body = f"{proof.model_dump_json()}\n".encode()
    for key in (proof.key, NEWEST_PROOF_KEY):
        with objects.explained(bucket, key):
            s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def newest(s3: Any, bucket: str) -> Proof | None:
    """None: there is none yet. :raises HaError: when S3 refuses, or it is damaged."""
    return _read(s3, bucket, NEWEST_PROOF_KEY)


def read_all(s3: Any, bucket: str) -> list[Proof]:
    """The newest ones, newest first. :raises HaError: when S3 refuses, or one is damaged."""
    with objects.explained(bucket, PROOFS_PREFIX):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PROOFS_PREFIX)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
    kept = sorted(set(keys) - {NEWEST_PROOF_KEY}, reverse=True)[:SHOWN]
    return [proof for key in kept if (proof := _read(s3, bucket, key))]


def _read(s3: Any, bucket: str, key: str) -> Proof | None:
    body = objects.read(s3, bucket, key).body
    if body is None:
        return None
    try:
        return Proof.model_validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        raise HaError(
            f"this is no proof of a backup: {'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg']}",
            where=objects.url(bucket, key),
            fix="look at it and delete it; `ha db prove` makes a new one",
        ) from None

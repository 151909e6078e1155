"""Small documents in the artifact bucket, replaced only if nobody has written them since they were read.

S3's conditional writes: `IfNoneMatch="*"` creates, `IfMatch=<etag>` replaces the version that was read. S3 answers 412
when the condition does not hold, 409 when another write of the same key was under way, and 404 to `IfMatch` when the
object is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from spec.errors import HaError

_MAX_BYTES: Final = 2**20
_ABSENT = frozenset(["NoSuchKey", "NoSuchBucket"])
_CONFLICT = frozenset(["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"])
_DENIED = frozenset(["AccessDenied", "Forbidden", "403"])


class Conflict(Exception):
    """Another writer was faster: read the object again."""


@dataclass(frozen=True)
class Stored:
    """An object as it was read: `body` is None and `etag` empty when there is none; `at` is the time by S3's clock."""

    body: bytes | None
    etag: str
    at: datetime


def read(s3: Any, bucket: str, key: str) -> Stored:
    """Read an object. Without the object, or the bucket, `body` is None.

    :raises HaError: when S3 refuses or cannot be reached.
    """
    with explained(bucket, key):
        try:
            found = s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            return Stored(None, "", _date(error.response))
        return Stored(found["Body"].read(_MAX_BYTES), found["ETag"], _date(found))


def replace(s3: Any, bucket: str, key: str, body: bytes, etag: str) -> str:
    """Replace the version of an object that has this ETag, or create the object when `etag` is empty.

    Returns the new ETag.

    :raises Conflict: when the object is another one by now.
    :raises HaError: when S3 refuses or cannot be reached.
    """
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    with explained(bucket, key):
        try:
            done = s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] in _CONFLICT:
                raise Conflict from None
            raise
        return str(done["ETag"])


def url(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def _date(response: Mapping[str, Any]) -> datetime:
    return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])


@contextmanager
def explained(bucket: str, key: str) -> Iterator[None]:
    """Turn an error of S3 into one that a person understands."""
    where = url(bucket, key)
    try:
        yield
    except ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code == "NoSuchBucket":
            raise HaError(
                f"the artifact bucket {bucket} does not exist",
                where=where,
                fix="`pulumi up` creates it; check the stack, the account and the region",
            ) from None
        if code in _DENIED:
            raise HaError(
                f"S3 denies access to {key} in the bucket {bucket}: {text}",
                where=where,
                fix=f"the role needs s3:GetObject and s3:PutObject on {bucket}/{key.partition('/')[0]}/*, and "
                f"s3:ListBucket on {bucket} (without it, S3 denies a missing object too)",
            ) from None
        raise HaError(f"S3 failed: {code}: {text}", where=where, fix="check the credentials; try again") from None
    except BotoCoreError as error:
        raise HaError(f"S3 cannot be asked: {error}", where=where, fix="check the connection; try again") from None

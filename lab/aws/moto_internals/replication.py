"""Replication of S3 buckets: moto keeps the rules and copies nothing.

What decides and waits is in `lab/aws/replication.py`; here is what only moto's own objects can do: report a new
version, and make a copy of it that has the same version id.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any

from lab.aws.moto_internals.patching import replace
from spec.project import EXAMPLE_ACCOUNT_ID


class Status(StrEnum):
    """What S3 says of a version: the first three of one that a rule copies, the last of a copy."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REPLICA = "REPLICA"


@dataclass(frozen=True)
class Version:
    """A version of an object, or a delete marker."""

    bucket: str
    key: str
    id: str
    marker: bool


@dataclass(frozen=True)
class Traits:
    """What decides which permissions a copy takes: has it tags, has its bucket Object Lock."""

    tagged: bool
    locked: bool


Listener = Callable[[Version, Mapping[str, Any]], None]
_listener: Listener | None = None


def on_new_version(listener: Listener | None) -> None:
    """Call this, with the rules of the bucket, for each version that is written to a bucket with rules.

    An object's metadata and tags may follow a moment later.
    """
    global _listener  # noqa: PLW0603 - a process has one moto
    _listener = listener


def change() -> None:
    """Change what moto does with buckets that have rules."""
    _replication_is_answered_as_given()
    _new_versions_are_reported()
    _status_is_answered()


def traits_of(version: Version) -> Traits | None:
    """None when the version is gone."""
    found = _find(version)
    if found is None:
        return None
    tagged = not version.marker and bool(_backend().tagger.get_tag_dict_for_resource(found.arn))
    return Traits(tagged=tagged, locked=_backend().buckets[version.bucket].object_lock_enabled)


def set_status(version: Version, status: Status) -> None:
    """A version that is gone has none."""
    found = _find(version)
    if found is not None:
        found.replication_status = status


def copy_version(version: Version, destination: str, *, tags: bool) -> bool:
    """Copy a version to another bucket; False when that bucket cannot take it."""
    found, bucket = _find(version), _backend().buckets.get(destination)
    if found is None or bucket is None or not bucket.is_versioned:
        return False
    replica = copy.copy(found)  # with bytes of its own
    if not version.marker:
        if replica.lock_mode and not bucket.object_lock_enabled:
            return False
        if not replica.lock_mode and bucket.has_default_lock:
            replica.lock_mode, replica.lock_until = bucket.default_lock_mode, bucket.default_retention()
        replica.bucket_name = destination
        replica.replication_status = Status.REPLICA
        replica._metadata = copy.copy(found.metadata)
        if tags:
            _backend().tagger.copy_tags(found.arn, replica.arn)
    bucket.keys[version.key] = replica  # moto's mapping adds a version
    return True


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[EXAMPLE_ACCOUNT_ID]["aws"]


def _find(version: Version) -> Any:
    bucket = _backend().buckets.get(version.bucket)
    versions = bucket.keys.getlist(version.key, []) if bucket else []
    return next((one for one in versions if one.version_id == version.id), None)


def _replication_is_answered_as_given() -> None:
    """The rules of a replication are answered as they were put; moto forgets filters and delete markers."""
    from moto.core.responses import ActionResult
    from moto.s3.exceptions import ReplicationConfigurationNotFoundError
    from moto.s3.responses import S3Response

    def get(self: Any) -> Any:
        self.data["Action"] = "GetBucketReplication"
        replication = self.backend.get_bucket_replication(self.bucket_name)
        if not replication:
            raise ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
        rules = [{**rule, "Filter": {"Prefix": rule["Filter"].get("Prefix") or ""}} for rule in replication["Rule"]]
        return self.serialized(
            ActionResult({"ReplicationConfiguration": {"Role": replication["Role"], "Rules": rules}})
        )

    replace(S3Response, "get_bucket_replication", get)


def _new_versions_are_reported() -> None:
    """S3 copies what is uploaded, in one part or several, or copied, and the markers of deletes without a version."""
    from moto.s3.models import S3Backend

    put_object, set_delete_marker = S3Backend.put_object, S3Backend._set_delete_marker

    def report(backend: Any, bucket_name: str, written: Any, *, marker: bool) -> None:
        bucket = backend.get_bucket(bucket_name)
        rules = backend.get_bucket_replication(bucket_name)
        if _listener is not None and rules and bucket.is_versioned:
            _listener(Version(bucket_name, written.name, written.version_id, marker), rules)

    @wraps(put_object)
    def put(self: Any, bucket_name: str, *args: Any, **more: Any) -> Any:
        written = put_object(self, bucket_name, *args, **more)
        report(self, bucket_name, written, marker=False)
        return written

    @wraps(set_delete_marker)
    def mark(self: Any, bucket_name: str, key_name: str) -> Any:
        written = set_delete_marker(self, bucket_name, key_name)
        report(self, bucket_name, written, marker=True)
        return written

    replace(S3Backend, "put_object", put)
    replace(S3Backend, "_set_delete_marker", mark)


def _status_is_answered() -> None:
    """HeadObject and GetObject say how far the copying of a version is."""
    from moto.s3.models import FakeKey

    headers = FakeKey.__dict__["response_dict"].fget

    def with_status(self: Any) -> dict[str, Any]:
        status = getattr(self, "replication_status", None)
        return {**headers(self), **({"x-amz-replication-status": status} if status else {})}

    replace(FakeKey, "response_dict", property(with_status))

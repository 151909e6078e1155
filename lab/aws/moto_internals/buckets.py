"""Object Lock of S3 buckets."""

from __future__ import annotations

from functools import wraps
from typing import Any

from lab.aws.moto_internals.patching import replace


def change() -> None:
    """Change what moto does with buckets."""
    _default_lock_changes()
    _locked_buckets_keep_versions()
    _uploads_in_parts_are_locked()


def _default_lock_changes() -> None:
    """The default lock of a bucket may change at any time; moto refuses it once the bucket has objects.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html
    """
    from moto.s3.exceptions import InvalidBucketState
    from moto.s3.models import S3Backend

    def put(
        self: Any,
        bucket_name: str,
        lock_enabled: bool,
        mode: str | None = None,
        days: int | None = None,
        years: int | None = None,
    ) -> None:
        bucket = self.get_bucket(bucket_name)
        if not bucket.is_versioned:
            raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
        bucket.object_lock_enabled = bucket.object_lock_enabled or lock_enabled
        bucket.default_lock_mode = mode
        bucket.default_lock_days = days
        bucket.default_lock_years = years

    replace(S3Backend, "put_object_lock_configuration", put)


def _locked_buckets_keep_versions() -> None:
    """A bucket with Object Lock keeps its versioning; moto suspends it."""
    from moto.s3.exceptions import InvalidBucketState
    from moto.s3.models import S3Backend

    put_versioning = S3Backend.put_bucket_versioning

    @wraps(put_versioning)
    def put(self: Any, bucket_name: str, status: str) -> None:
        if status != "Enabled" and self.get_bucket(bucket_name).object_lock_enabled:
            raise InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            )
        put_versioning(self, bucket_name, status)

    replace(S3Backend, "put_bucket_versioning", put)


def _uploads_in_parts_are_locked() -> None:
    """An object that is uploaded in parts gets the default lock of its bucket; moto gives it to those of one part."""
    from moto.s3.models import S3Backend

    put_object = S3Backend.put_object

    @wraps(put_object)
    def put(self: Any, bucket_name: str, *args: Any, **more: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        if more.get("multipart") is not None and bucket.has_default_lock:
            more = {"lock_mode": bucket.default_lock_mode, "lock_until": bucket.default_retention(), **more}
        return put_object(self, bucket_name, *args, **more)

    replace(S3Backend, "put_object", put)

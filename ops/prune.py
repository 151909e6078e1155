"""Deletes bundles and releases that nothing names any more.

The artifact bucket keeps the versions of each pointer for 30 days, so what a pointer named within that time is known.
The engine keeps what it uploaded (`retain_on_delete`), because a host or a roll-out that goes back may still need it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ops import objects
from spec.pointer import Pointer, bundle_key
from spec.release import release_key
from spec.tiers import Tier

YOUNG: Final = timedelta(days=1)
"""A bundle is uploaded before the pointer that names it is written."""


def prune(s3: Any, bucket: str, tier: Tier, running: Collection[str]) -> list[str]:
    """Deletes a tier's bundles, and the application's releases, that no version of its pointer names and no host runs.

    :param running: digests of what hosts run.
    :return: the keys that were deleted.
    :raises HaError: when S3 refuses or cannot be reached.
    """
    named = set(_named(s3, bucket, tier))
    kept = {bundle_key(tier, digest) for digest in {*(one.bundle for one in named), *running}}
    prefixes = [f"bundles/{tier}/"]
    if tier is Tier.APP:
        kept |= {release_key(digest) for digest in {*(one.release or "" for one in named), *running}}
        prefixes.append("releases/")
    old = datetime.now(UTC) - YOUNG
    gone = [key for key, at in _listed(s3, bucket, prefixes) if key not in kept and at < old]
    for key in gone:
        with objects.explained(bucket, key):
            s3.delete_object(Bucket=bucket, Key=key)  # the bucket keeps the object's versions for a while
    return gone


def _named(s3: Any, bucket: str, tier: Tier) -> Iterator[Pointer]:
    """What the pointer named, in each version that the bucket has of it."""
    key = Pointer.key(tier)
    with objects.explained(bucket, key):
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
        versions = [one["VersionId"] for page in pages for one in page.get("Versions", ()) if one["Key"] == key]
        for version in versions:
            body = s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()
            yield Pointer.from_json(body, where=objects.url(bucket, key))


def _listed(s3: Any, bucket: str, prefixes: Collection[str]) -> Iterator[tuple[str, datetime]]:
    for prefix in prefixes:
        with objects.explained(bucket, prefix):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield from ((one["Key"], one["LastModified"]) for one in page.get("Contents", ()))

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
        objects.delete(s3, bucket, key)
    return gone


def _named(s3: Any, bucket: str, tier: Tier) -> Iterator[Pointer]:
    """What the pointer named, in each version that the bucket has of it."""
    key = Pointer.key(tier)
    for version in objects.versions(s3, bucket, key):
        stored = objects.read(s3, bucket, key, version=version)
        if stored.body is not None:
            yield Pointer.from_json(stored.body, where=objects.url(bucket, key))


def _listed(s3: Any, bucket: str, prefixes: Collection[str]) -> Iterator[tuple[str, datetime]]:
    for prefix in prefixes:
        yield from objects.listed(s3, bucket, prefix)

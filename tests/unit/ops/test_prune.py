"""What nothing names any more is deleted from the artifact bucket, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops import prune as module
from ops.prune import prune
from spec.pointer import Pointer, bundle_key
from spec.release import release_key
from spec.tiers import Tier
from tests.unit.conftest import Bucket

B1, B2, B3 = ("1" * 64, "2" * 64, "3" * 64)
R1, R2 = ("a" * 64, "b" * 64)


@pytest.fixture
def full(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Three bundles and two releases of the application, all old; the pointer named the first and names the second."""
    monkeypatch.setattr(module, "YOUNG", timedelta(seconds=-60))
    for digest in (B1, B2, B3):
        bucket.put(bundle_key(Tier.APP, digest), b"")
        bucket.put(bundle_key(Tier.DB, digest), b"")
    for digest in (R1, R2):
        bucket.put(release_key(digest), b"")
    for bundle in (B1, B2):
        bucket.put(Pointer.key(Tier.APP), Pointer(bundle=bundle, release=R2).to_json().encode())
    return bucket


def keys(bucket: Bucket, prefix: str) -> set[str]:
    found = bucket.s3.list_objects_v2(Bucket=bucket.name, Prefix=prefix)
    return {one["Key"] for one in found.get("Contents", ())}


def test_what_no_version_of_the_pointer_names_is_deleted(full: Bucket) -> None:
    others = keys(full, "bundles/db/")
    assert set(prune(full.s3, full.name, Tier.APP, ())) == {bundle_key(Tier.APP, B3), release_key(R1)}
    assert keys(full, "bundles/app/") == {bundle_key(Tier.APP, B1), bundle_key(Tier.APP, B2)}
    assert keys(full, "releases/") == {release_key(R2)}
    assert keys(full, "bundles/db/") == others
    assert prune(full.s3, full.name, Tier.APP, ()) == []


def test_what_a_host_runs_is_kept(full: Bucket) -> None:
    assert prune(full.s3, full.name, Tier.APP, (B3, R1)) == []


def test_what_was_just_uploaded_is_kept(full: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "YOUNG", timedelta(days=1))
    assert prune(full.s3, full.name, Tier.APP, ()) == []


def test_a_tier_without_releases_touches_none(full: Bucket) -> None:
    full.put(Pointer.key(Tier.DB), Pointer(bundle=B1).to_json().encode())
    assert set(prune(full.s3, full.name, Tier.DB, ())) == {bundle_key(Tier.DB, B2), bundle_key(Tier.DB, B3)}
    assert keys(full, "releases/") == {release_key(R1), release_key(R2)}

"""What the pointers of a running estate name."""

from __future__ import annotations

from collections.abc import Mapping

from ops import objects
from ops.estate import Estate
from ops.scope import scope_of
from spec.pointer import Pointer
from spec.settings import Settings
from spec.tiers import Tier


def pointers(estate: Estate, settings: Settings) -> Mapping[Tier, Pointer]:
    """The pointer of each tier that has one. :raises HaError: when the artifact bucket cannot be read."""
    bucket, s3 = scope_of(estate, settings).artifact_bucket, estate.client("s3")
    found = {}
    for tier in Tier:
        key = Pointer.key(tier)
        if (body := objects.read(s3, bucket, key).body) is not None:
            found[tier] = Pointer.from_json(body, where=objects.url(bucket, key))
    return found

"""What a tier runs: the object in the artifact bucket that names its bundle and, for the application, its release."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spec.errors import HaError
from spec.tiers import Tier

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal."""
SHORT = 12
"""So many characters of a digest are shown to people."""


class Pointer(BaseModel):
    """The bundle of a tier, and the release of the application's tier. Both are digests of uncompressed archives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Digest
    release: Digest | None = None

    def document(self) -> str:
        """The object's content: the same text for the same pointer."""
        return json.dumps(self.model_dump(exclude_none=True), sort_keys=True) + "\n"

    def __str__(self) -> str:
        release = f", release {self.release[:SHORT]}" if self.release else ""
        return f"bundle {self.bundle[:SHORT]}{release}"


def pointer_key(tier: Tier) -> str:
    """Key of a tier's pointer in the artifact bucket."""
    return f"pointers/{tier}"


def bundle_key(tier: Tier, digest: str) -> str:
    """Key of a tier's bundle in the artifact bucket."""
    return f"bundles/{tier}/{digest}.tar"


def parse_pointer(document: str, *, where: str) -> Pointer:
    """:raises HaError: when the document is no pointer."""
    try:
        return Pointer.model_validate_json(document)
    except ValidationError as invalid:
        raise HaError(
            f"this is no pointer: {invalid.errors(include_url=False)[0]['msg']}",
            where=where,
            fix="`pulumi up` writes it again",
        ) from None

"""Pointers: what the hosts of a tier run, by digests. Each is one object in the artifact bucket."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from spec.errors import HaError
from spec.tiers import Tier

SHORT = 12
"""So many characters of a digest are shown to people."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Pointer(BaseModel):
    """The digests of a tier's bundle and, for the application, of its release; without a bundle yet: empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
    release: Sha256 | None = None

    @staticmethod
    def key(tier: Tier) -> str:
        """Its key in the artifact bucket."""
        return f"pointers/{tier.value}"

    @staticmethod
    def resource_name(tier: Tier) -> str:
        """Its name in the program."""
        return f"pointer-{tier}"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> Pointer:
        """:raises HaError: when it is damaged; `where` it comes from is part of the message."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise HaError(
                f"this is no pointer: {'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg']}",
                where=where,
                fix="`pulumi up` writes it again",
            ) from None

    def to_json(self) -> str:
        """The same text for the same pointer."""
        return f"{json.dumps(self.model_dump(exclude_none=True), sort_keys=True)}\n"

    def __str__(self) -> str:
        release = f", release {self.release[:SHORT]}" if self.release else ""
        return f"bundle {self.bundle[:SHORT]}{release}"


def bundle_key(tier: Tier, digest: str) -> str:
    """Key of a tier's bundle in the artifact bucket."""
    return f"bundles/{tier}/{digest}.tar"

"""What a host says that it runs. Hosts' words are data: whatever is not of the expected form counts as not said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spec.pointer import Pointer

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\x20-\x7e\n]")
_MARKUP = ("{%", "{ %")
"""`<{%` begins a colour in a message to Pulumi's engine, which ends at once on one that it does not know."""
LONGEST = 2000
"""So many characters of what a host printed are shown, its last ones."""


@dataclass(frozen=True)
class Runs:
    """The bundle and release in place on a host, and what is confirmed there; "" where it does not say.

    `change`: how far a change of them is: `applying`, `applied`, `confirmed`, `going back`, `back` or `failed`.
    """

    bundle: str = ""
    release: str = ""
    confirmed_bundle: str = ""
    confirmed_release: str = ""
    change: str = ""
    error: str = ""

    @property
    def placed(self) -> Pointer:
        """What is in place."""
        return Pointer(bundle=self.bundle, release=self.release or None)

    @property
    def confirmed(self) -> Pointer:
        """What a boot runs."""
        return Pointer(bundle=self.confirmed_bundle, release=self.confirmed_release or None)

    def settled_on(self, wanted: Pointer) -> bool:
        """Whether exactly this is in place, and is what the host would boot with."""
        return self.placed == self.confirmed == wanted

    @classmethod
    def of(cls, report: Mapping[str, Any] | None) -> Runs:
        """From a host's report."""
        runs = mapping((report or {}).get("runs"))
        confirmed, change = mapping(runs.get("confirmed")), mapping(runs.get("change"))
        return cls(
            bundle=_digest(runs.get("bundle")),
            release=_digest(runs.get("release")),
            confirmed_bundle=_digest(confirmed.get("bundle")),
            confirmed_release=_digest(confirmed.get("release")),
            change=printable(str(change.get("state", "")))[:20],
            error=printable(str(change.get("error", ""))),
        )


def printable(text: str) -> str:
    """A host's output for a terminal or a comment: its last `LONGEST` characters, without control sequences. Lines
    after the first are indented, so that nobody takes them for ours.
    """
    return _UNPRINTABLE.sub("", text).replace(*_MARKUP).strip()[-LONGEST:].replace("\n", "\n    ")


def clean(document: Any) -> Any:
    """A host's document with every text in it as `printable`."""
    if isinstance(document, str):
        return printable(document)
    if isinstance(document, dict):
        return {printable(str(key)): clean(value) for key, value in document.items()}
    return [clean(one) for one in document] if isinstance(document, list) else document


def mapping(value: object) -> Mapping[str, Any]:
    """A part of a host's document; empty when it is no mapping."""
    return value if isinstance(value, Mapping) else {}


def _digest(value: object) -> str:
    return value if isinstance(value, str) and _DIGEST.fullmatch(value) else ""

"""The identities of resources. The engine knows a resource by its URN, that is by its type, its name and its parents'
types: another one is another resource, made beside the old one, which is then deleted. A pointer that is made anew is
written without a roll-out, and the object with its key is deleted after that.
"""

from __future__ import annotations

from pathlib import Path

from tests.unit.program.recorded import program_of

KNOWN = Path(__file__).with_name("urns.txt")


def test_no_resource_is_renamed_without_an_alias() -> None:
    """Who renames one gives it `aliases`, so that running estates keep theirs, and then changes its line here."""
    now = sorted(one.urn.split("::", 2)[2] for one in program_of("prod").resources)
    known = [line for line in KNOWN.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert now == known

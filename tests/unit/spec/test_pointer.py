from __future__ import annotations

import json

import pytest

from spec.errors import HaError
from spec.pointer import Pointer
from spec.tiers import Tier

BUNDLE, RELEASE = "0123456789abcdef" * 4, "f" * 64


def test_a_pointer_is_one_object_of_its_tier() -> None:
    assert Pointer.key(Tier.DB) == "pointers/db"


@pytest.mark.parametrize("pointer", [Pointer(bundle=BUNDLE), Pointer(bundle=BUNDLE, release=RELEASE)])
def test_what_is_written_is_read_again(pointer: Pointer) -> None:
    assert Pointer.from_json(pointer.to_json(), where="here") == pointer


def test_its_bytes_are_known() -> None:
    assert Pointer(release=RELEASE, bundle=BUNDLE).to_json() == (f'{{"bundle": "{BUNDLE}", "release": "{RELEASE}"}}\n')
    assert json.loads(Pointer(bundle=BUNDLE).to_json()) == {"bundle": BUNDLE}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({"bundle": BUNDLE.upper()}),
        json.dumps({"bundle": BUNDLE[1:]}),
        json.dumps({"bundle": f"{BUNDLE}\n"}),
        json.dumps({"bundle": "../../etc/passwd"}),
        json.dumps({"bundle": BUNDLE, "release": ""}),
        json.dumps({"bundle": BUNDLE, "other": 1}),
    ],
)
def test_a_damaged_one_is_refused_with_where_it_is(text: str) -> None:
    with pytest.raises(HaError, match="this is no pointer") as refused:
        Pointer.from_json(text, where="s3://bucket/pointers/db")
    assert refused.value.where == "s3://bucket/pointers/db"

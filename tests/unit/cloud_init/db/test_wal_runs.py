"""The archive as `ha-backups` names it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cloud_init.rendering import program
from tests.unit.repository import SEGMENT, at, wal

wal_runs = program("db/files/usr/local/lib/ha/wal_runs.py")


def test_archived_segments_are_runs_without_a_gap() -> None:
    hash_of = "47dff2b7552a9d66e4bae1a762488a6885e7082c"
    names = [f"17-1/{name[:16]}/{name}-{hash_of}.zst" for name in map(wal, (4094, 4095, 4096, 4098))]
    files: dict[str, Any] = {name: {"type": "file", "size": 9, "time": at(i)} for i, name in enumerate(names)}
    files |= {".": {"type": "path"}, "17-1": {"type": "path"}, f"17-1/{wal(7)[:16]}": {"type": "path"}}
    # Of a timeline that ended, and what is no whole segment of it.
    files |= {f"17-1/0000000200000000/{wal(3, 2)}-{hash_of}": {"type": "file", "size": 9, "time": at(9)}}
    files |= {f"17-1/{wal(5)[:16]}/{wal(5)}.partial-{hash_of}.zst": {"type": "file", "size": 9, "time": at(9)}}
    files |= {"17-1/00000002.history": {"type": "file", "size": 9, "time": at(9)}}
    files |= {"archive.info": {"type": "file", "size": 9, "time": at(9)}}
    assert wal_runs.runs(files, SEGMENT) == [
        {"first": wal(4094), "last": wal(4096), "archived": at(2)},  # 4096 begins the next 4 GiB
        {"first": wal(4098), "last": wal(4098), "archived": at(3)},
        {"first": wal(3, 2), "last": wal(3, 2), "archived": at(9)},
    ]


@given(st.sets(st.integers(0, 300)), st.sampled_from([2**20, 2**24, 2**26, 2**30]))
def test_runs_name_exactly_the_segments_that_there_are(positions: set[int], segment_bytes: int) -> None:
    per_log = 2**32 // segment_bytes
    names = {p: f"00000001{p // per_log:08X}{p % per_log:08X}" for p in range(302)}
    files = {f"{names[p]}-{'a' * 40}": {"time": p} for p in positions}
    found = wal_runs.runs(files, segment_bytes)
    place = {name: p for p, name in names.items()}
    covered = [p for one in found for p in range(place[one["first"]], place[one["last"]] + 1)]
    assert covered == sorted(positions)
    assert all(place[a["last"]] + 1 < place[b["first"]] for a, b in pairwise(found))

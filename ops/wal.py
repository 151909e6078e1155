"""Archived WAL: what can be replayed without a gap, and where segments are missing. Pure.

A segment's name is its timeline and its position, `TTTTTTTTLLLLLLLLSSSSSSSS`. A promotion begins a new timeline in the
segment that it happens in, so segment 9 of timeline 1 may be followed by segment 10 of timeline 1, or by segment 9 or
10 of timeline 2. Only history files say where a timeline left its parent; here it is where its archived segments begin,
which is right for promotions, and for restores to before a later timeline began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise, zip_longest
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

SegmentName = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{24}$")]


class Run(BaseModel):
    """Archived segments of one timeline without a gap; `archived` is when the last one was uploaded."""

    model_config = ConfigDict(frozen=True)

    first: SegmentName
    last: SegmentName
    archived: AwareDatetime


class Hole(BaseModel):
    """Segments that are missing: between the last one before it and the first one after it."""

    model_config = ConfigDict(frozen=True)

    after: SegmentName
    before: SegmentName
    segments: int


@dataclass(frozen=True)
class Stretch:
    """WAL that can be replayed without a gap, over promotions too; positions count segments."""

    begin: int
    end: int
    first: str
    last: str
    archived: datetime


@dataclass(frozen=True)
class Archive:
    """`line`: the timelines that lead to the newest one, oldest first, with the position where each of them begins."""

    segment_bytes: int
    line: dict[int, int]
    stretches: tuple[Stretch, ...]
    others: tuple[tuple[int, Stretch], ...]
    """What is on other timelines, each with its timeline."""

    @classmethod
    def of(cls, runs: Sequence[Run], segment_bytes: int) -> Self:
        ordered = sorted(runs, key=lambda run: run.first)
        timelines = {
            timeline: [_stretch(run, segment_bytes) for run in group]
            for timeline, group in groupby(ordered, key=lambda run: timeline_of(run.first))
        }
        line: dict[int, int] = {}
        for timeline in sorted(timelines, reverse=True):
            begin = timelines[timeline][0].begin
            if not line or begin <= min(line.values()):
                line[timeline] = begin
        line = dict(sorted(line.items()))
        joined: list[Stretch] = []
        for timeline, end in zip_longest(line, [*line.values()][1:]):  # `end`: where the next timeline takes over
            for piece in filter(None, (_before(one, end, segment_bytes) for one in timelines[timeline])):
                if joined and joined[-1].end + 1 == piece.begin:
                    begun = joined.pop()
                    piece = Stretch(begun.begin, piece.end, begun.first, piece.last, piece.archived)
                joined.append(piece)
        others = tuple((number, one) for number, found in timelines.items() if number not in line for one in found)
        return cls(segment_bytes, line, tuple(joined), others)

    @property
    def newest(self) -> Stretch | None:
        return self.stretches[-1] if self.stretches else None

    def stretch(self, first: str, last: str) -> Stretch | None:
        """What a backup whose own WAL is `first` to `last` can be followed by; None when a part of that is missing."""
        timeline = timeline_of(last)
        begin, end = position(first, self.segment_bytes), position(last, self.segment_bytes)
        later = [start for number, start in self.line.items() if number > timeline]
        if timeline in self.line and (not later or end < later[0]):
            found = self.stretches
        else:
            found = tuple(one for number, one in self.others if number == timeline)
        return next((one for one in found if one.begin <= begin and end <= one.end), None)

    def holes(self, since: str) -> list[Hole]:
        """The holes after a segment, on the way to the newest one."""
        begin = position(since, self.segment_bytes)
        return [
            Hole(after=one.last, before=other.first, segments=other.begin - one.end - 1)
            for one, other in pairwise(self.stretches)
            if other.begin > begin
        ]


def timeline_of(name: str) -> int:
    return int(name[:8], 16)


def position(name: str, segment_bytes: int) -> int:
    """How many segments there are before this one."""
    return int(name[8:16], 16) * (2**32 // segment_bytes) + int(name[16:], 16)


def name_of(timeline: int, at: int, segment_bytes: int) -> str:
    log, segment = divmod(at, 2**32 // segment_bytes)
    return f"{timeline:08X}{log:08X}{segment:08X}"


def _stretch(run: Run, segment_bytes: int) -> Stretch:
    begin, end = position(run.first, segment_bytes), position(run.last, segment_bytes)
    return Stretch(begin, end, run.first, run.last, run.archived)


def _before(stretch: Stretch, end: int | None, segment_bytes: int) -> Stretch | None:
    """The part of a stretch of one timeline that is before a position."""
    if end is None or stretch.end < end:
        return stretch
    if stretch.begin >= end:
        return None
    last = name_of(timeline_of(stretch.last), end - 1, segment_bytes)
    return Stretch(stretch.begin, end - 1, stretch.first, last, stretch.archived)

"""What running load has told so far."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict

from drills.run import _hold_until_writing
from drills.samples import Kind, Sample
from drills.visitors import Visitors


def visitors(samples: Sequence[Sample]) -> Visitors:
    text = "".join(json.dumps(asdict(one)) + "\n" for one in samples)
    child = subprocess.Popen(["printf", "%s", text], stdout=subprocess.PIPE, text=True)
    child.wait()
    found = Visitors(child, 5)
    found.end()
    return found


def sample(kind: Kind, ended_s_ago: float, status: int) -> Sample:
    end = time.monotonic() - ended_s_ago
    return Sample(kind, end - 0.1, end, status)


def test_writing_is_an_acknowledged_write_of_late() -> None:
    late, refused, read = sample(Kind.WRITE, 5, 201), sample(Kind.WRITE, 0, 503), sample(Kind.READ, 0, 200)
    assert not visitors([late, refused, read]).wrote_within(2)
    assert visitors([late, refused, read]).wrote_within(60)


def test_a_fault_lasts_on_until_writes_are_through_or_its_time_is_over() -> None:
    began = time.monotonic()
    _hold_until_writing(visitors([sample(Kind.WRITE, 0, 201)]), began + 60)
    assert time.monotonic() - began < 30
    began = time.monotonic()
    _hold_until_writing(visitors([]), began + 0.3)
    assert time.monotonic() - began >= 0.3

"""What a running load has recorded so far, and how long a drill waits for it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict

from drills.load_process import LoadProcess
from drills.run import wait_for_a_write
from drills.samples import Kind, Sample


def load_of(samples: Sequence[Sample]) -> LoadProcess:
    """A load that has recorded these samples."""
    text = "".join(json.dumps(asdict(one)) + "\n" for one in samples)
    child = subprocess.Popen(["printf", "%s", text], stdout=subprocess.PIPE, text=True)
    child.wait()
    found = LoadProcess(child, 5)
    found.end()
    return found


def sample(kind: Kind, ended_s_ago: float, status: int) -> Sample:
    end = time.monotonic() - ended_s_ago
    return Sample(kind, end - 0.1, end, status)


def test_only_a_recent_acknowledged_write_counts() -> None:
    old, refused, read = sample(Kind.WRITE, 5, 201), sample(Kind.WRITE, 0, 503), sample(Kind.READ, 0, 200)
    assert not load_of([old, refused, read]).write_acknowledged_within(2)
    assert load_of([old, refused, read]).write_acknowledged_within(60)


def test_a_write_that_waited_through_the_fault_does_not_count_as_one_after_it() -> None:
    healed = time.monotonic() - 0.05
    waited, later = sample(Kind.WRITE, 0, 201), Sample(Kind.WRITE, healed + 0.01, healed + 0.02, 201)
    assert not load_of([waited]).write_acknowledged_that_began_after(healed)
    assert load_of([waited, later]).write_acknowledged_that_began_after(healed)


def test_a_fault_lasts_until_a_write_is_acknowledged_or_its_time_is_over() -> None:
    began = time.monotonic()
    wait_for_a_write(load_of([sample(Kind.WRITE, 0, 201)]), began + 60)
    assert time.monotonic() - began < 30
    began = time.monotonic()
    wait_for_a_write(load_of([]), began + 0.3)
    assert time.monotonic() - began >= 0.3

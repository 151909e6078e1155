"""Which message counts as word of a trouble."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from drills.pages import Pages


class Queue:
    """A queue with these subjects in it; `empty` once they were read."""

    def __init__(self, subjects: list[str]) -> None:
        self.subjects = subjects
        self.empty = threading.Event()

    def receive_message(self, **_: Any) -> dict[str, Any]:
        if not self.subjects:
            self.empty.set()
            return {}
        body = json.dumps({"Subject": self.subjects.pop(0)})
        return {"Messages": [{"Body": body, "ReceiptHandle": "1"}]}

    def delete_message(self, **_: Any) -> None: ...


@pytest.fixture
def came(monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setattr("drills.pages.POLL_S", 0.001)
    clock = iter(range(100, 200))
    monkeypatch.setattr("drills.pages.time.monotonic", lambda: next(clock))
    subjects = ("[FIRING] dev: HostDown", "[FIRING] dev: MonitorSilent", "[RESOLVED] dev: MonitorSilent")
    queue = Queue([*subjects, "[FIRING] dev: MonitorSilent"])
    with Pages(queue, "url").collecting() as pages:
        assert queue.empty.wait(5)
    return pages


@pytest.mark.parametrize(("since", "at"), [(100, 101), (102, 103), (104, None)])
def test_only_word_of_this_trouble_that_came_since_counts(came: Pages, since: float, at: float | None) -> None:
    page = came.first("MonitorSilent", since)
    assert (page.at if page else None) == at

"""Which message says that an alert fires."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from drills.alerts import AlertInbox


class Queue:
    """A queue with these subjects in it; `empty` is set once they were received."""

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
def inbox(monkeypatch: pytest.MonkeyPatch) -> AlertInbox:
    """Four messages, received at 100, 101, 102 and 103."""
    monkeypatch.setattr("drills.alerts.POLL_S", 0.001)
    clock = iter(range(100, 200))
    monkeypatch.setattr("drills.alerts.time.monotonic", lambda: next(clock))
    subjects = ("[FIRING] dev: HostDown", "[FIRING] dev: MonitorSilent", "[RESOLVED] dev: MonitorSilent")
    queue = Queue([*subjects, "[FIRING] dev: MonitorSilent"])
    with AlertInbox(queue, "url").receiving() as found:
        assert queue.empty.wait(5)
    return found


@pytest.mark.parametrize(("since", "received_at"), [(100, 101), (102, 103), (104, None)])
def test_only_a_later_message_that_this_alert_fires_counts(
    inbox: AlertInbox, since: float, received_at: float | None
) -> None:
    message = inbox.first_firing("MonitorSilent", since)
    assert (message.received_at if message else None) == received_at

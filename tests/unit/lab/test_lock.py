"""The lock that says that a lab runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from lab import lock


def test_a_lock_that_is_removed_goes_to_the_next_as_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held_by_both = threading.Event()

    def wait() -> None:
        with lock.held(path, doing="starting", wait_s=10):
            assert path.exists()
            assert lock.is_held(path)
            held_by_both.set()

    with lock.held(path, doing="ending"):
        assert lock.holder(path) == (os.getpid(), "ending")
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not held_by_both.wait(0.1)
        path.unlink()
    waiting.join(10)
    assert held_by_both.is_set()

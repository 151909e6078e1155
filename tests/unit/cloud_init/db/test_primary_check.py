"""What the route is answered: over HTTP, from one connection that stays only while the node may be written to."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import files_of, program

CHECK = program("db/files/usr/local/lib/ha/primary-check")


class Lost(Exception):
    """PostgreSQL is gone."""


class Here:
    """This node's PostgreSQL; `answer` is what it says next, an exception included."""

    def __init__(self, answer: bool | Lost = True) -> None:
        self.answer = answer
        self.asked = self.left = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_asked = threading.Event()

    def ask(self) -> bool:
        self.asked += 1
        self.is_asked.set()
        assert self.may_answer.wait(10)
        if isinstance(self.answer, Lost):
            raise self.answer
        return self.answer

    def leave(self) -> None:
        self.left += 1


def node(here: Here, standby: Callable[[], bool] = lambda: False) -> Any:
    return CHECK.Node(here, standby, (Lost,))


def test_while_it_may_be_written_to_the_connection_stays() -> None:
    here = Here()
    asked = node(here)
    assert asked.writable()
    assert asked.writable()
    assert (here.asked, here.left) == (2, 0)


@pytest.mark.parametrize("answer", [False, Lost()])
def test_a_no_and_no_answer_close_it_and_the_next_question_asks_anew(answer: bool | Lost) -> None:
    here = Here(answer)
    asked = node(here)
    assert not asked.writable()
    assert here.left == 1
    here.answer = True
    assert asked.writable()


def test_a_standby_is_not_connected_to() -> None:
    here = Here()
    assert not node(here, lambda: True).writable()
    assert here.asked == 0


@contextmanager
def hanging(here: Here, asked: Any) -> Iterator[list[bool]]:
    """Somebody's question has no answer during the block; what it was answered in the end."""
    here.may_answer.clear()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(asked.writable()))
    waiting.start()
    try:
        assert here.is_asked.wait(10)
        yield answers
    finally:
        here.may_answer.set()
        waiting.join()


def test_while_postgresql_hangs_others_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHECK, "TURN_S", 0.05)
    here = Here()
    asked = node(here)
    with hanging(here, asked) as answers:
        assert not asked.writable()
    assert answers == [True]
    assert asked.writable(), "it goes on when PostgreSQL does"


def test_one_question_that_hangs_for_long_is_given_up_with_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def end(status: int) -> None:
        raise Ended

    monkeypatch.setattr(CHECK, "TURN_S", 0.05)
    monkeypatch.setattr(CHECK, "STUCK_S", 0.04)
    monkeypatch.setattr(CHECK.os, "_exit", end)
    here = Here()
    asked = node(here)
    with hanging(here, asked), pytest.raises(Ended):
        asked.writable()


@contextmanager
def served(writable: Callable[[], bool]) -> Iterator[int]:
    """The port at which it is answered."""
    with CHECK.server(0, writable) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
@pytest.mark.parametrize(
    ("path", "writable", "status"), [("/primary", True, 200), ("/primary", False, 503), ("/replica", True, 503)]
)
def test_the_answer_is_a_status(method: str, path: str, writable: bool, status: int) -> None:
    with served(lambda: writable) as port:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            link.request(method, path)
            answer = link.getresponse()
            assert (answer.status, answer.read()) == (status, b"")
        finally:
            link.close()


def test_it_starts_with_the_fence_and_before_postgresql() -> None:
    files = files_of("db1")
    assert "ExecStart=/usr/local/lib/ha/primary-check 8008\n" in files["/etc/systemd/system/ha-primary-check.service"]
    step = files["/usr/local/lib/ha/steps/50-node"]
    assert step.index("ha-service ha-primary-check\n") < step.index("ha-service pgautofailover\n")

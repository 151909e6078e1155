"""When the standby is taken out and back in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drills import budget
from spec.timers import KEEPER_LOOP_MS
from tests.unit.cloud_init.rendering import estate, files_of, program

PROGRAM = program("db/files/usr/local/lib/ha/stalled-standby")


class Pair:
    """The two nodes as this program sees them; `asked` is what was done to them."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark
        self.stalled = self.well = True
        self.reachable = self.out = self.here = self.flowing = False
        self.now_s = 100.0
        self.reported_s = float("inf")
        self.asked: list[str] = []
        self.standby: Any = PROGRAM.Standby(self.ask, lambda: self.here, self.answers, mark, lambda: self.now_s)

    def answers(self) -> bool:
        self.now_s += 0.0 if self.reachable else PROGRAM.ANSWER_S
        return self.reachable

    def ask(self, question: str, *known: float) -> bool:
        if question in (PROGRAM.TAKE_OUT, PROGRAM.TAKE_BACK):
            self.asked.append("out" if question == PROGRAM.TAKE_OUT else "back")
            return True
        if question == PROGRAM.WELL:
            return self.well and self.reported_s > self.now_s - known[0]
        return {PROGRAM.FLOWING: self.flowing, PROGRAM.STALLED: self.stalled, PROGRAM.OUT: self.out}[question]

    def look_for(self, seconds: float) -> None:
        until = self.now_s + seconds
        while self.now_s <= until:
            self.standby.look()
            self.now_s += PROGRAM.EVERY_S


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "standby-is-out")


def test_a_standby_that_stalls_commits_is_taken_out_and_marked(pair: Pair) -> None:
    pair.standby.look()
    assert pair.asked == ["out"]
    assert pair.mark.exists()


def test_one_that_has_reported_nothing_since_is_lost_and_the_monitors_to_judge(pair: Pair) -> None:
    pair.reported_s = began_s = pair.now_s
    pair.look_for(10)
    assert pair.asked == []
    pair.reported_s = began_s + PROGRAM.ANSWER_S
    pair.standby.look()
    assert pair.asked == ["out"], "a refusal does not begin the wait anew"


def test_the_budget_counts_what_it_takes() -> None:
    assert 1000 * PROGRAM.ANSWER_S < KEEPER_LOOP_MS, "the way is found closed before the next report has come"
    assert 1000 * 2 * PROGRAM.EVERY_S + KEEPER_LOOP_MS == budget.STALL_MS
    assert f"interval '{budget.COMMIT_WAITS_MS / 1000:g} s'" in PROGRAM.STALLED


def test_a_stall_that_is_over_at_once_changes_nothing(pair: Pair) -> None:
    pair.reported_s = pair.now_s
    pair.standby.look()
    pair.stalled = False
    pair.look_for(5)
    pair.reported_s = pair.now_s
    pair.stalled = True
    pair.standby.look()
    assert pair.asked == []


@pytest.mark.parametrize(
    "what", ["it can be reached", "the monitor does not call both well", "it is this host", "replication streams"]
)
def test_a_standby_that_others_look_after_is_left_to_them(pair: Pair, what: str) -> None:
    pair.reachable = what == "it can be reached"
    pair.here = what == "it is this host"
    pair.flowing = what == "replication streams"
    pair.well = what != "the monitor does not call both well"
    pair.look_for(10)
    assert pair.asked == []
    assert not pair.mark.exists()


def test_it_is_taken_back_when_it_has_been_reachable_for_a_while(pair: Pair) -> None:
    pair.mark.touch()
    pair.out = True
    pair.look_for(10)
    assert pair.asked == []
    pair.reachable = True
    pair.look_for(PROGRAM.REACHABLE_S - PROGRAM.EVERY_S)
    assert pair.asked == []
    pair.look_for(2 * PROGRAM.EVERY_S)
    assert pair.asked == ["back"]
    pair.out = False
    pair.standby.look()
    assert not pair.mark.exists()


def test_a_maintenance_of_a_person_is_not_ended(pair: Pair) -> None:
    pair.out, pair.stalled, pair.reachable = True, False, True
    pair.look_for(10)
    assert pair.asked == []


def test_a_refused_request_is_tried_again(pair: Pair) -> None:
    for _ in range(3):  # it is marked, but the monitor did not do it: `out` stays false
        pair.standby.look()
    assert pair.asked[:2] == ["out", "out"]


def test_each_node_watches_the_other() -> None:
    db2, monitor = (estate()[name].host.address for name in ("db2", "monitor1"))
    unit = files_of("db1")["/etc/systemd/system/ha-stalled-standby.service"]
    assert f"/usr/local/lib/ha/stalled-standby db1 {monitor} {db2} 5432\n" in unit

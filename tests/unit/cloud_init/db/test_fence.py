"""The fence: who may prolong the lease, for how long, and that a host that stood still does not let anybody in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cloud_init.rendering import estate, files_of, program

FENCE = program("db/files/usr/local/lib/ha/fence")


class Clock:
    """A clock that stands until it is moved; and the kernel, which keeps what it was given."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.given_ms: list[int] = []
        self.taking_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def apply(self, left_ms: int) -> None:
        self.given_ms.append(left_ms)
        self.now_s += self.taking_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Any:
    return FENCE.Lease(0.75, clock.apply, clock)  # this and all times in eighths of a second, which are exact


def test_nobody_is_let_in_before_a_witness_has_spoken(lease: Any) -> None:
    assert not lease.held
    assert lease.silent


def test_the_lease_counts_from_the_question_not_from_the_answer(lease: Any, clock: Clock) -> None:
    clock.now_s = 100.5
    lease.monitor_said(100.0, ours=True)
    assert clock.given_ms == [250]
    clock.now_s = 100.625
    assert lease.held
    clock.now_s = 100.75
    assert not lease.held


def test_an_answer_that_came_too_late_is_worth_nothing(lease: Any, clock: Clock) -> None:
    clock.now_s = 100.9
    lease.monitor_said(100.0, ours=True)
    assert clock.given_ms == []
    assert not lease.held


def test_a_no_prolongs_nothing_and_ends_nothing(lease: Any, clock: Clock) -> None:
    lease.monitor_said(100.0, ours=True)
    lease.monitor_said(100.125, ours=False)
    lease.peer_said(100.25, standby=False)
    assert clock.given_ms == [750]
    assert lease.held


def test_an_older_word_does_not_shorten_the_lease(lease: Any, clock: Clock) -> None:
    clock.now_s = 100.375
    lease.monitor_said(100.25, ours=True)
    lease.peer_said(100.0, standby=True)
    assert clock.given_ms == [625]


def test_a_host_that_stood_still_while_the_kernel_took_the_lease_ends_it(lease: Any, clock: Clock) -> None:
    lease.monitor_said(100.0, ours=True)
    clock.taking_s = 0.125  # the kernel counts from then on, so the lease would be as much too long
    lease.monitor_said(100.125, ours=True)
    assert clock.given_ms == [750, 875, 0]
    assert not lease.held


def test_the_other_node_is_asked_only_when_the_monitor_is_silent(lease: Any, clock: Clock) -> None:
    lease.monitor_said(100.0, ours=False)
    assert not lease.silent  # it said no, which is a word
    clock.now_s = 100.0 + FENCE.SILENT_S + 0.01
    assert lease.silent


class Link:
    """What psycopg2 would give; `row` is the answer."""

    def __init__(self, row: tuple[object, ...] | None) -> None:
        self.row = row
        self.closed = False
        self.autocommit = False

    def cursor(self) -> Link:
        return self

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, query: str, values: tuple[str, ...]) -> None:
        self.asked = query, values

    def fetchone(self) -> tuple[object, ...] | None:
        return self.row

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("row", "yes"), [((True,), True), ((False,), False), ((None,), False)])
def test_only_a_yes_is_a_yes(row: tuple[object, ...], yes: bool) -> None:
    link = Link(row)
    witness = FENCE.Witness(lambda where: link, "host=m", "select", "db1")
    assert witness.ask() is yes
    assert link.asked == ("select", ("db1",))
    assert link.autocommit  # a transaction left open would keep the first answer


def test_a_monitor_that_knows_no_node_has_no_say() -> None:
    witness = FENCE.Witness(lambda where: Link(None), "host=m", "select", "db1")
    with pytest.raises(LookupError):
        witness.ask()


def test_a_witness_that_is_left_is_connected_to_anew() -> None:
    links: list[Link] = []

    def connect(where: str) -> Link:
        links.append(Link((True,)))
        return links[-1]

    witness = FENCE.Witness(connect, "host=m", "select")
    witness.ask()
    witness.ask()
    witness.leave()
    witness.leave()
    witness.ask()
    assert [link.closed for link in links] == [True, False]


def test_each_node_asks_the_other_and_lets_only_peers_past_the_lease() -> None:
    files = files_of("db1")
    db1, db2, monitor = (estate()[name].host.address for name in ("db1", "db2", "monitor1"))
    timers = estate()["db1"].settings.timers
    unit = files["/etc/systemd/system/ha-fence.service"]
    assert f"/usr/local/lib/ha/fence db1 {monitor} {db2} 5432 8008 {timers.fence_lease_ms}\n" in unit
    rules = files["/etc/ha/fence.nft"]
    assert f"elements = {{ {db1}, {db2}, {monitor} }}" in rules
    step = files["/usr/local/lib/ha/steps/50-node"]
    assert step.index("ha-service ha-fence\n") < step.index("ha-service pgautofailover\n")

"""What the failover monitor decided, by its events."""

from __future__ import annotations

from drills.failovers import Event, decisions


def events(*goals: tuple[str, str]) -> list[Event]:
    return [Event(node, goal, "why") for node, goal in goals]


def test_a_pair_that_keeps_its_roles_decided_nothing() -> None:
    seen = decisions(events(("db1", "primary"), ("db2", "secondary"), ("db1", "primary")))
    assert (seen.failovers, seen.departures) == (0, ())


def test_a_failover_counts_once_however_many_events_it_has() -> None:
    seen = decisions(
        events(
            *[("db1", "draining"), ("db2", "prepare_promotion"), ("db2", "prepare_promotion"), ("db1", "draining")],
            *[("db1", "demote_timeout"), ("db2", "stop_replication"), ("db2", "wait_primary"), ("db1", "demoted")],
            *[("db1", "catchingup"), ("db1", "secondary"), ("db2", "primary")],
        )
    )
    assert seen.failovers == 1
    assert seen.departures == ("db1 to draining: why", "db2 to prepare_promotion: why")


def test_a_standby_that_is_lost_and_comes_back_is_two_departures_and_no_failover() -> None:
    away = [("db2", "catchingup"), ("db1", "wait_primary"), ("db2", "secondary"), ("db1", "primary")]
    seen = decisions(events(*away, *away))
    assert seen.failovers == 0
    assert [one.partition(":")[0] for one in seen.departures] == ["db2 to catchingup", "db1 to wait_primary"] * 2

"""The failover monitor never lets a primary go on alone while its standby takes over."""

from __future__ import annotations

import pytest

from lab.waiting import eventually
from ops.postgres import MONITOR_DATABASE, psql_argv
from tests.lab.estate.booted import Booted

pytestmark = pytest.mark.lab
# The last goal of a hand-over. Held up before it, the hand-over and a report of db2, which locks its own row and then
# waits for the group, would wait for each other.
SLOW = (
    "create function public.test_slow() returns trigger language plpgsql as "
    "$$ begin perform pg_sleep(1.5); return null; end $$; "
    "create trigger test_slow after update of goalstate on pgautofailover.node for each row "
    "when (new.goalstate = 'prepare_promotion') execute function public.test_slow()"
)
QUICK = "drop trigger if exists test_slow on pgautofailover.node; drop function if exists public.test_slow"
ALONE = "select count(*) from pgautofailover.event where description like '%none of the standby nodes in the quorum%'"


def assign(booted: Booted, *goals: tuple[str, str]) -> str:
    """Assigns these goals to nodes, in this order, and rolls back. Returns the error of PostgreSQL, or nothing."""
    update = "update pgautofailover.node set goalstate = '{}' where nodename = '{}'"
    script = "; ".join(["begin", *(update.format(goal, name) for name, goal in goals), "rollback"])
    done = booted.on_host("monitor1", *psql_argv(MONITOR_DATABASE, script), check=False)
    assert (done.exit_code == 0) is (done.stderr == ""), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("prepare_promotion", "wait_primary"),
        ("stop_replication", "wait_primary"),
        ("wait_primary", "prepare_promotion"),
    ],
)
def test_of_a_pair_one_goes_on_alone_or_the_other_takes_over(booted: Booted, first: str, then: str) -> None:
    """As when two keepers report at once: a report that waits is judged by what was true before it."""
    assert "conflicts with the state" in assign(booted, ("db2", first), ("db1", then))


def test_a_primary_whose_standby_is_lost_goes_on_alone(booted: Booted) -> None:
    assert assign(booted, ("db2", "catchingup"), ("db1", "wait_primary")) == ""


def test_a_standby_takes_over_and_goes_on_alone(booted: Booted) -> None:
    failover = [
        ("db1", "draining"),
        ("db2", "prepare_promotion"),
        ("db1", "demote_timeout"),
        ("db2", "stop_replication"),
    ]
    assert assign(booted, *failover, ("db1", "demoted"), ("db2", "wait_primary")) == ""


def asked(booted: Booted, statement: str) -> str:
    return booted.on_host("monitor1", *psql_argv(MONITOR_DATABASE, statement)).stdout.strip()


def test_a_report_during_the_decision_does_not_end_synchronous_replication(booted: Booted) -> None:
    """The decision takes so long that the primary's keeper, which reports every second, waits for it."""
    before = asked(booted, ALONE)
    began = booted.on_host("monitor1", "date", "+@%s.%N").stdout.strip()
    asked(booted, SLOW)
    try:
        done = booted.ha("--lab", "db", "switchover")
    finally:
        asked(booted, QUICK)
    assert done.exit_code == 0, done.stderr
    refused = booted.on_host(
        "monitor1", "journalctl", "--no-pager", "--since", began, "--grep", "conflicts with the state"
    )
    assert refused.stdout
    assert asked(booted, ALONE) == before
    eventually("the estate is healthy", lambda: booted.status()["healthy"], deadline_s=150)

"""An old primary is closed to applications before another node writes, whatever PostgreSQL on it would still accept."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from drills.fault_injector import FaultInjector
from drills.faults import FAULTS, Targets, injected
from drills.measure import accepting
from drills.probe import TABLE, Probe
from lab.waiting import eventually
from ops.estate import Estate
from ops.postgres import ADMIN_DATABASE, psql_command
from spec.tiers import Tier
from tests.lab.estate.booted import Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

# On an application host: whether the database host lets it in at either port, forty times a second. PostgreSQL's answer
# to the question for TLS needs neither a password nor a free connection. The end of standard input is its end.
ASK = """
import select, socket, struct, sys, time
def let_in(port, question, answer):
    try:
        with socket.create_connection((sys.argv[1], port), timeout=0.5) as visit:
            visit.sendall(question)
            return visit.recv(1) == answer
    except OSError:
        return False
while not select.select([sys.stdin], [], [], 0.025)[0]:
    asked = time.monotonic()
    at_check = let_in(8008, b"GET /primary HTTP/1.0\\r\\n\\r\\n", b"H")
    doors = let_in(5432, struct.pack("!ii", 8, 80877103), b"S"), at_check
    print(asked, int(any(doors)), int(all(doors)), flush=True)
"""


class Door:
    """What an application host saw of one database host's two ports: a time, whether it was let in at any, at both."""

    def __init__(self, lines: list[str]) -> None:
        words = [line.split() for line in lines if line.count(" ") == 2]
        self.seen = [(float(at), at_any == "1", at_both == "1") for at, at_any, at_both in words]

    def open_between(self, begin: float, end: float) -> list[float]:
        """When it was let in at any port, of the times between two moments."""
        return [at for at, at_any, _ in self.seen if at_any and begin < at < end]

    def wide_open_between(self, begin: float, end: float) -> list[float]:
        """When it was let in at both."""
        return [at for at, _, at_both in self.seen if at_both and begin < at < end]


@contextmanager
def watched(booted: Booted, address: str) -> Iterator[list[str]]:
    """What the first application host sees of a database host during the block; complete after it."""
    argv = [str(word) for word in booted.lab.on_host("app1", ["python3", "-uc", ASK, address])]
    lines: list[str] = []
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield lines
    finally:
        lines += child.communicate(timeout=10)[0].splitlines()


@pytest.fixture
def pair(booted: Booted) -> Targets:
    """The healthy pair."""
    eventually("the estate is healthy", lambda: booted.status()["healthy"], deadline_s=120, every_s=1)
    database = booted.status()["database"]
    return Targets(Tier.DB, (database["primary"],), database["primary"], database["standby"], "monitor1")


@pytest.fixture
def injector(booted: Booted) -> FaultInjector:
    estate = Estate(stack=booted.stack, region=booted.settings.region, target="lab", session=boto3.Session())
    return FaultInjector(booted.lab, estate, booted.settings)


@contextmanager
def acknowledging_alone(injector: FaultInjector, pair: Targets) -> Iterator[None]:
    """The primary acknowledges without its standby, so that nothing but the fence keeps an old one from it."""
    table = f"create table if not exists {TABLE} (n int)"
    injector.run(pair.primary, psql_command(ADMIN_DATABASE, table))
    local = "alter system set synchronous_commit = local"
    injector.run(pair.primary, psql_command(ADMIN_DATABASE, local, "select pg_reload_conf()"))
    try:
        yield
    finally:
        for host in (pair.primary, pair.standby):
            restore(injector, host)


def restore(injector: FaultInjector, host: str) -> None:
    statements = ("alter system reset synchronous_commit", "select pg_reload_conf()")
    reset = f"{psql_command(ADMIN_DATABASE, *statements)} && echo done"
    eventually(f"{host} is as before", lambda: injector.run(host, reset, check=False), deadline_s=90)


@contextmanager
def keeper_hanging(injector: FaultInjector, host: str) -> Iterator[None]:
    """pg_auto_failover on a host does nothing, so that PostgreSQL there goes on for as long as it can."""
    tell = "kill -{} $(pgrep -x pg_autoctl)"
    injector.run(host, tell.format("STOP"))
    try:
        yield
    finally:
        injector.run(host, tell.format("CONT"))


def test_a_primary_that_is_cut_off_is_closed_before_another_writes(
    booted: Booted, injector: FaultInjector, pair: Targets
) -> None:
    old, new = pair.primary, pair.standby
    with (
        acknowledging_alone(injector, pair),
        Probe(injector, [old, new]).running() as probe,
        watched(booted, injector.addresses()[old]) as lines,
    ):
        eventually("the primary accepts writes", lambda: accepting(probe.attempts[old]), deadline_s=20)
        cut = time.monotonic()
        with keeper_hanging(injector, old), injected(FAULTS["partition-both"], injector, pair):
            eventually("the standby accepts writes", lambda: accepting(probe.attempts[new]), deadline_s=30)
            end = time.monotonic()
            writes_from = next(one.start for one in probe.attempts[new] if one.accepted)
            eventually(
                "PostgreSQL on the old primary accepts what the fence keeps out",
                lambda: any(one.accepted and one.start > writes_from for one in probe.attempts[old]),
                deadline_s=10,
            )
    door = Door(lines)
    let_in = door.open_between(cut, end)
    assert door.wide_open_between(cut - 1, cut), "it was open before"
    assert all(at < writes_from for at in let_in), "open while another node wrote"
    fenced_s = booted.settings.timers.fenced_by_ms / 1000
    assert all(at - cut < fenced_s + 1 for at in let_in), "closed as late as only pg_auto_failover's own fence would"
    eventually("the estate is healthy again", lambda: booted.status()["healthy"], deadline_s=120, every_s=1)


def test_a_fence_that_hangs_closes_and_opens_again_without_a_failover(
    booted: Booted, injector: FaultInjector, pair: Targets
) -> None:
    with watched(booted, injector.addresses()[pair.primary]) as lines:
        time.sleep(0.5)  # of an open door
        stopped = time.monotonic()
        injector.run(pair.primary, "systemctl kill --signal=STOP ha-fence")
        try:
            closed = "nft list set inet ha_fence lease | grep -q elements || echo closed"
            eventually("the lease has ended", lambda: "closed" in injector.run(pair.primary, closed), deadline_s=10)
            ended = time.monotonic()
            time.sleep(0.5)  # of a closed one
        finally:
            continued = time.monotonic()  # it may let somebody in before the command is back
            injector.run(pair.primary, "systemctl kill --signal=CONT ha-fence")
        eventually("applications are let in", lambda: "closed" not in injector.run(pair.primary, closed), deadline_s=10)
        time.sleep(0.5)
        end = time.monotonic()
    door = Door(lines)
    assert door.wide_open_between(stopped - 0.5, stopped)
    assert not door.open_between(ended, continued)
    assert door.wide_open_between(continued, end)
    assert booted.status()["database"]["primary"] == pair.primary

"""An old primary is closed to applications before another node writes, whatever PostgreSQL on it would still accept."""

from __future__ import annotations

import subprocess
import threading
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
# On a database host: when the kernel was given a lease, which is when a witness had just answered.
GIVEN = """
import os, select, subprocess, sys, time
with subprocess.Popen(["nft", "monitor", "new", "elements"], stdout=subprocess.PIPE) as monitor:
    while sys.stdin not in (ready := select.select([sys.stdin, monitor.stdout], [], [])[0]):
        at = time.monotonic()
        if b"ha_fence lease" in os.read(monitor.stdout.fileno(), 65536):
            print(at, flush=True)
    monitor.kill()
"""
RELOAD = "select pg_reload_conf()"
ROUNDS = 5
"""How often the end of a lease is looked at: a look may come late, but hardly each."""
TICK_S = 0.02
"""The kernel ends a lease at a tick of its clock. The timers' slack is not added: it is for a lease that the kernel is
given late, and the test counts from when it was given."""
LOOKS = 10
"""So many in a row that agree are no accident."""


class Lines:
    """What a program on a host has printed so far, in words. It runs for as long as the block."""

    def __init__(self, booted: Booted, host: str, program: str, *arguments: str) -> None:
        argv = [str(word) for word in booted.lab.on_host(host, ["python3", "-uc", program, *arguments])]
        self._child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines: list[list[str]] = []
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> list[list[str]]:
        self._reader.start()
        return self._lines

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(10)
        finally:
            self._child.kill()
            self._reader.join()

    def _read(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout:
            self._lines += (line.split() for line in self._child.stdout if line.endswith("\n"))


class Door:
    """What an application host sees of one database host's two ports, in lines of `ASK`."""

    def __init__(self, lines: list[list[str]]) -> None:
        self._lines = lines

    def seen(self, begin: float, end: float = float("inf")) -> list[tuple[float, bool, bool]]:
        """Of the times between two moments: when it asked, whether it was let in at any port, at both."""
        seen = ((float(at), at_any == "1", at_both == "1") for at, at_any, at_both in self._lines.copy())
        return [one for one in seen if begin < one[0] < end]

    def open(self, begin: float, end: float = float("inf")) -> list[float]:
        """When it was let in at any port."""
        return [at for at, at_any, _ in self.seen(begin, end) if at_any]

    def wide_open(self, begin: float, end: float = float("inf")) -> list[float]:
        """When it was let in at both."""
        return [at for at, _, at_both in self.seen(begin, end) if at_both]

    def await_wide_open(self) -> None:
        """Until it is let in from now on."""
        since = time.monotonic()
        eventually("applications are let in", lambda: len(self.wide_open(since)) >= LOOKS, deadline_s=10)

    def await_closed(self) -> None:
        """Until it was kept out for a while."""
        since = time.monotonic()

        def closed() -> bool:
            looks = self.seen(since)[-LOOKS:]
            return len(looks) == LOOKS and not any(at_any for _, at_any, _ in looks)

        eventually("applications are kept out", closed, deadline_s=10)


@contextmanager
def watched(booted: Booted, address: str) -> Iterator[Door]:
    """What the first application host sees of a database host during the block."""
    with Lines(booted, "app1", ASK, address) as lines:
        yield Door(lines)


@contextmanager
def fence_hanging(injector: FaultInjector, host: str) -> Iterator[None]:
    """Nobody prolongs a host's lease."""
    injector.run(host, "systemctl kill --signal=STOP ha-fence")
    try:
        yield
    finally:
        injector.run(host, "systemctl kill --signal=CONT ha-fence")


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
    injector.run(pair.primary, psql_command(ADMIN_DATABASE, f"create table if not exists {TABLE} (n int)"))
    injector.run(pair.primary, psql_command(ADMIN_DATABASE, "alter system set synchronous_commit = local", RELOAD))
    try:
        yield
    finally:
        for host in (pair.primary, pair.standby):
            restore(injector, host)


def restore(injector: FaultInjector, host: str) -> None:
    reset = f"{psql_command(ADMIN_DATABASE, 'alter system reset synchronous_commit', RELOAD)} && echo done"
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
        watched(booted, injector.addresses()[old]) as door,
    ):
        eventually("the primary accepts writes", lambda: accepting(probe.attempts[old]), deadline_s=20)
        door.await_wide_open()
        with keeper_hanging(injector, old), injected(FAULTS["partition-both"], injector, pair):
            cut = time.monotonic()
            eventually("the standby accepts writes", lambda: accepting(probe.attempts[new]), deadline_s=30)
            writes_from = next(one.start for one in probe.attempts[new] if one.accepted)
            eventually(
                "PostgreSQL on the old primary accepts what the fence keeps out",
                lambda: any(one.accepted and one.start > writes_from for one in probe.attempts[old]),
                deadline_s=10,
            )
            eventually("the door was looked at meanwhile", lambda: door.seen(writes_from), deadline_s=10)
            end = time.monotonic()
    let_in = door.open(cut, end)
    assert all(at < writes_from for at in let_in), "open while another node wrote"
    # No witness is heard from the cut on, so what was heard was asked before.
    fenced_s = booted.settings.timers.fenced_by_ms / 1000
    assert all(at - cut <= fenced_s for at in let_in), "open for longer than the timers say"
    eventually("the estate is healthy again", lambda: booted.status()["healthy"], deadline_s=120, every_s=1)


@pytest.mark.parametrize("host", ["db1", "db2"])
def test_nobody_is_let_in_for_longer_after_a_witness_spoke_than_the_timers_say(
    booted: Booted, injector: FaultInjector, pair: Targets, host: str
) -> None:
    """By what happens at the host. Each look comes late, so what is measured is shorter than what was; not longer."""
    let_in_s = []
    with watched(booted, injector.addresses()[host]) as door, Lines(booted, host, GIVEN) as given:
        for _ in range(ROUNDS):
            door.await_wide_open()
            with fence_hanging(injector, host):
                door.await_closed()
                let_in_s.append(door.open(0)[-1] - float(given[-1][0]))
        door.await_wide_open()
    timers = booted.settings.timers
    assert max(let_in_s) <= timers.fence_lease_ms / 1000 + TICK_S, let_in_s
    assert max(let_in_s) >= timers.fence_lease_ms / 1000 / 2, f"not the lease's end: {let_in_s}"
    assert booted.status()["database"]["primary"] == pair.primary


def test_a_fence_that_hangs_closes_and_opens_again_without_a_failover(
    booted: Booted, injector: FaultInjector, pair: Targets
) -> None:
    with watched(booted, injector.addresses()[pair.primary]) as door:
        door.await_wide_open()
        with fence_hanging(injector, pair.primary):
            closed = "nft list set inet ha_fence lease | grep -q elements || echo closed"
            eventually("the lease has ended", lambda: "closed" in injector.run(pair.primary, closed), deadline_s=10)
            ended = time.monotonic()
            eventually("it was asked for a while", lambda: len(door.seen(ended)) >= LOOKS, deadline_s=10)
            continued = time.monotonic()  # it may let somebody in before the command is back
        door.await_wide_open()
    assert not door.open(ended, continued)
    assert booted.status()["database"]["primary"] == pair.primary

"""The maintenance page on every load balancer: what is run where, and which failures are told."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier, Lock
from typing import Any, cast

import pytest

from ops import maintenance
from ops.estate import CommandFailed, CommandResult, Estate, Instance
from spec.errors import EXIT_FAILED, HaError
from spec.tiers import Tier

UNTIL = datetime(2030, 5, 17, 21, 30, 0, 5, tzinfo=timezone(timedelta(hours=2)))
DONE = CommandResult(0, '{"on": true}\n', "")


class Hosts:
    """Load balancers with their states, and a host of another tier. `answers`: by host; others are done."""

    def __init__(self, *, answers: dict[str, CommandResult | CommandFailed] | None = None, **states: str) -> None:
        self.states = {"lb1": "running", "lb2": "running", "app1": "running", **states}
        self.answers = answers or {}
        self.ran: dict[str, str] = {}
        self.lock = Lock()
        self.all_at_once: Barrier | None = None

    def prepare(self) -> None: ...

    def instances(self) -> list[Instance]:
        return [
            Instance(f"i-{host}", host, Tier(host.rstrip("0123456789")), "", None, "", state)
            for host, state in self.states.items()
        ]

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        host = instance_id.removeprefix("i-")
        if self.all_at_once:
            self.all_at_once.wait(10)
        with self.lock:
            self.ran[host] = command
        answer = self.answers.get(host, DONE)
        if isinstance(answer, CommandFailed):
            raise answer
        return answer


def estate(hosts: Hosts) -> Estate:
    return cast(Estate, hosts)


def test_every_load_balancer_gets_the_page_and_no_other_host() -> None:
    hosts = Hosts()
    hosts.all_at_once = Barrier(2)
    maintenance.on(estate(hosts), UNTIL, 'Rows come back; it\'s "done" by `date` $(x)')
    assert set(hosts.ran) == {"lb1", "lb2"}
    for command in hosts.ran.values():
        assert shlex.split(command) == [
            "ha-maintenance",
            "on",
            "--until=2030-05-17T19:30:00+00:00",
            '--why=Rows come back; it\'s "done" by `date` $(x)',
        ]
    maintenance.off(estate(hosts))
    assert hosts.ran == {"lb1": "ha-maintenance off", "lb2": "ha-maintenance off"}


def test_a_stopped_load_balancer_serves_nobody() -> None:
    hosts = Hosts(lb2="stopped")
    maintenance.on(estate(hosts), UNTIL, "x")
    assert set(hosts.ran) == {"lb1"}


@pytest.mark.parametrize("state", ["running", "pending", "stopping"])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (CommandFailed("no answer within 100 s", where="i-lb2"), "lb2: no answer within 100 s"),
        (CommandResult(1, "", "x\nha-maintenance: written, but\x1b[31m\n"), "lb2: ha-maintenance: written, but"),
        (CommandResult(127, "", "sh: 1: ha-maintenance: not found\n"), "lb2: sh: 1: ha-maintenance: not found"),
        (CommandResult(3, "", ""), "lb2: it ended with exit code 3"),
    ],
)
@pytest.mark.parametrize(
    ("act", "risk"),
    [
        (lambda hosts: maintenance.on(estate(hosts), UNTIL, "x"), "visitors may still reach the application: "),
        (lambda hosts: maintenance.off(estate(hosts)), "visitors may still get the maintenance page: "),
    ],
)
def test_one_that_may_serve_and_does_not_do_it_is_a_failure_and_the_others_do_it(
    state: str, answer: Any, why: str, act: Callable[[Hosts], None], risk: str
) -> None:
    hosts = Hosts(answers={"lb2": answer}, lb2=state)
    with pytest.raises(HaError) as failed:
        act(hosts)
    assert failed.value.what.startswith(risk)
    assert failed.value.what.endswith(why)
    assert (failed.value.where, failed.value.exit_code) == ("lb2", EXIT_FAILED)
    assert failed.value.fix
    assert set(hosts.ran) == {"lb1", "lb2"}


def test_all_that_fail_are_named() -> None:
    answer = CommandFailed("no answer", where="i-lb")
    hosts = Hosts(answers={"lb1": answer, "lb2": answer})
    with pytest.raises(HaError, match="lb1: no answer; lb2: no answer"):
        maintenance.on(estate(hosts), datetime(2030, 1, 1, tzinfo=UTC), "x")


def test_without_a_load_balancer_nobody_can_come() -> None:
    hosts = Hosts()
    hosts.states = {"app1": "running"}
    maintenance.on(estate(hosts), UNTIL, "x")
    assert hosts.ran == {}

"""Of two load balancers: which one takes the public address, and when."""

from __future__ import annotations

import itertools
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from components.host_files import CLOUD_INIT_DIR
from drills import promises
from tests.unit.cloud_init.rendering import PAIRS, estate, files_of, program

ADDRESS = "lb/pair/files/usr/local/lib/ha/address"


class Api:
    """EC2 with one address; `fails` calls are refused first, the first `late_looks` answers are old."""

    def __init__(self, holder: str | None, fails: int = 0, late_looks: int = 0) -> None:
        self.holder, self.fails, self.late_looks = holder, fails, late_looks
        self.known = holder
        self.taken = self.looks = 0

    def describe_addresses(self, **_: Any) -> dict[str, Any]:
        self.looks += 1
        holder = self.known if self.looks <= self.late_looks else self.holder
        held = (
            {"InstanceId": holder, "PrivateIpAddress": "10.0.0.21", "AssociationId": f"eipassoc-{holder}"}
            if holder
            else {}
        )
        return {"Addresses": [{"AllocationId": "eipalloc-1", "PublicIp": "203.0.113.10", **held}]}

    def associate_address(self, **asked: Any) -> None:
        assert asked["AllowReassociation"] is True
        assert asked["PrivateIpAddress"] == "10.0.0.21"
        self.taken += 1
        if self.taken <= self.fails:
            raise OSError("throttled")
        self.holder = asked["InstanceId"]


@pytest.fixture
def takeover_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The program on host i-1. `serves`: what visitors find at the public address; None: a host without an answer."""
    module = program(ADDRESS)

    def make(api: Api, *, state: str = "INIT", serves: bool | None = True, here: bool = True) -> Any:
        def found(address: str, *, silent: bool) -> bool:
            if address == "127.0.0.1":
                return here
            return silent if serves is None else serves

        monkeypatch.setattr(module, "serves", found)
        clock = itertools.count(100.0, module.WATCH_S)
        return module.Takeover(module.Address(api, "dev-public", "dev", "i-1", "10.0.0.21"), state, lambda: next(clock))

    return make


def turns(takeover: Any, count: int) -> None:
    for _ in range(count):
        takeover.turn()


def test_who_becomes_active_takes_the_address_from_whoever_has_it(takeover_of: Callable[..., Any]) -> None:
    api = Api("i-2")
    takeover = takeover_of(api)
    turns(takeover, 1)
    assert api.holder == "i-2"
    takeover.became("MASTER")
    turns(takeover, 1)
    assert (api.holder, takeover.held, api.taken) == ("i-1", True, 1)


def test_what_it_has_just_taken_it_does_not_take_again_at_once_while_answers_lag(
    takeover_of: Callable[..., Any],
) -> None:
    api = Api("i-2", late_looks=2)
    takeover = takeover_of(api)
    takeover.became("MASTER")
    assert takeover.turn() == program(ADDRESS).AGAIN_S
    assert takeover.turn() == program(ADDRESS).LOOK_S
    assert (takeover.held, api.taken) == (True, 1)


def test_answers_that_lag_for_long_do_not_make_it_take_the_address_over_and_over(
    takeover_of: Callable[..., Any],
) -> None:
    api = Api("i-2", late_looks=8)
    takeover = takeover_of(api)
    takeover.became("MASTER")
    while not takeover.held:
        takeover.turn()
    assert (api.looks, api.taken) == (9, 1)


def test_at_the_first_boot_it_takes_an_address_that_nobody_has(takeover_of: Callable[..., Any]) -> None:
    api = Api(None)
    takeover = takeover_of(api)
    takeover.became("MASTER")
    turns(takeover, 2)
    assert api.holder == "i-1"


def test_what_it_has_it_does_not_take_again(takeover_of: Callable[..., Any]) -> None:
    api = Api("i-1")
    takeover = takeover_of(api, state="MASTER")
    turns(takeover, 5)
    assert api.taken == 0


def test_a_refused_attempt_is_made_again(takeover_of: Callable[..., Any]) -> None:
    api = Api("i-2", fails=2)
    takeover = takeover_of(api)
    turns(takeover, 1)
    takeover.became("MASTER")
    for _ in range(2):
        with pytest.raises(OSError):
            takeover.turn()
    turns(takeover, 1)
    assert api.holder == "i-1"


def test_who_stands_by_takes_nothing_while_visitors_are_answered(takeover_of: Callable[..., Any]) -> None:
    for holder in ("i-2", None):
        api = Api(holder)
        takeover = takeover_of(api)
        takeover.became("BACKUP")
        turns(takeover, 50)
        assert api.taken == 0
        assert holder is None or api.looks < 10, "the API is not asked at every visit"


def test_who_could_not_serve_takes_nothing_ever(takeover_of: Callable[..., Any]) -> None:
    for state in ("FAULT", "STOP"):
        api = Api("i-2")
        takeover = takeover_of(api, serves=False)
        takeover.became(state)
        turns(takeover, 50)
        assert api.taken == 0


def test_whom_the_answers_of_the_api_do_not_reach_takes_nothing(takeover_of: Callable[..., Any]) -> None:
    api = Api("i-2")
    takeover = takeover_of(api)
    turns(takeover, 1)

    def silence(**_: Any) -> dict[str, Any]:
        raise TimeoutError("no answer")

    api.describe_addresses = silence  # type: ignore[method-assign]
    takeover.became("MASTER")
    with pytest.raises(TimeoutError):
        takeover.turn()
    assert api.taken == 0


def test_two_that_are_both_active_do_not_pull_at_it_while_visitors_are_answered(
    takeover_of: Callable[..., Any],
) -> None:
    api = Api("i-2")
    takeover = takeover_of(api, state="MASTER")
    turns(takeover, 20)
    assert api.taken == 0


@pytest.mark.parametrize("state", ["MASTER", "BACKUP"])
def test_it_is_taken_from_where_visitors_find_nobody(takeover_of: Callable[..., Any], state: str) -> None:
    api = Api("i-2")
    takeover = takeover_of(api, state=state, serves=False)
    turns(takeover, 1)  # who has it
    takeover.moved = float("-inf")  # for long
    takeover.looked = float("-inf")  # a look at the API is due meanwhile, and changes nothing
    turns(takeover, 1)
    assert api.taken == 0, "a HAProxy that is started again is gone for a moment"
    takeover.silent_from -= program(ADDRESS).SILENT_S
    turns(takeover, 1)
    assert (api.holder, takeover.held) == ("i-1", True)


def test_what_was_found_before_the_api_could_be_asked_is_looked_at_again(takeover_of: Callable[..., Any]) -> None:
    """Both are silent for a host whose own way out is cut; when it is back, so may be the other."""
    api = Api("i-2")
    takeover = takeover_of(api, state="BACKUP", serves=False)
    turns(takeover, 1)
    takeover.moved = takeover.silent_from = float("-inf")
    answers = api.describe_addresses
    api.describe_addresses = MagicMock(side_effect=TimeoutError)  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        takeover.turn()
    api.describe_addresses = answers  # type: ignore[method-assign]
    takeover_of(api)  # visitors are answered again
    turns(takeover, 20)
    assert (api.holder, api.taken) == ("i-2", 0)


@pytest.mark.parametrize("state", ["MASTER", "BACKUP"])
def test_an_address_that_was_just_moved_is_not_taken_back_before_packets_follow(
    takeover_of: Callable[..., Any], state: str
) -> None:
    module = program(ADDRESS)
    api = Api("i-1")
    takeover = takeover_of(api, state=state, serves=False)
    turns(takeover, 1)
    api.holder = "i-2"  # which was told that it is the active one
    takeover.looked = float("-inf")
    takeover.turn()
    moved = takeover.moved
    while takeover.clock() < moved + module.SETTLE_S - module.WATCH_S:
        takeover.turn()
        assert api.taken == 0
    turns(takeover, 10)
    assert api.holder == "i-1", "but not left for ever where nobody is found"


@pytest.mark.parametrize(("state", "holder"), [("MASTER", "i-1"), ("BACKUP", "i-2")])
def test_from_who_says_nothing_only_the_active_one_takes_it(
    takeover_of: Callable[..., Any], state: str, holder: str
) -> None:
    api = Api("i-2")
    takeover = takeover_of(api, state=state, serves=None)
    turns(takeover, 1)
    takeover.moved = float("-inf")
    turns(takeover, 20)
    assert api.holder == holder


def test_where_no_application_would_be_found_here_either_it_is_left(takeover_of: Callable[..., Any]) -> None:
    api = Api("i-2")
    takeover = takeover_of(api, state="BACKUP", serves=False, here=False)
    turns(takeover, 1)
    takeover.moved = float("-inf")
    turns(takeover, 50)
    assert api.taken == 0


def test_a_load_balancer_that_is_lost_to_visitors_is_noticed_in_time() -> None:
    module = program(ADDRESS)
    promised_s = promises.LOAD_BALANCER.outage_s
    assert promised_s is not None
    noticed_s = module.SILENT_S + 2 * (module.WATCH_S + module.VISIT_S)
    assert noticed_s < promised_s - 0.5


def test_who_takes_a_connection_and_says_nothing_is_told_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    module = program(ADDRESS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()
        connect = socket.create_connection
        monkeypatch.setattr(module.socket, "create_connection", lambda _, timeout: connect(here, timeout=timeout))
        assert module.serves("203.0.113.10", silent=True)
        assert not module.serves("203.0.113.10", silent=False)
    assert not module.serves("203.0.113.10", silent=True), "nobody listens any more"


def test_visits_are_answered_by_haproxy_itself() -> None:
    visited = re.search(r"GET (\S+) HTTP", (CLOUD_INIT_DIR / ADDRESS).read_text(encoding="utf-8"))
    assert visited is not None
    assert f"    monitor-uri {visited[1]}\n" in files_of("lb1", **PAIRS)["/etc/haproxy/haproxy.cfg"]


def test_what_keepalived_tells_besides_changes_nothing() -> None:
    module = program(ADDRESS)
    reader, writer = os.pipe()
    try:
        lines = ("BACKUP 109", "MASTER 109", "MASTER_RX_LOWER_PRI 109")
        os.write(writer, "".join(f'INSTANCE "public" {line}\n' for line in lines).encode())
        assert module.heard(reader, 1.0) == ["BACKUP", "MASTER"]
        assert module.heard(reader, 0.0) == []
    finally:
        os.close(reader)
        os.close(writer)


def test_a_pipe_that_was_replaced_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = program(ADDRESS)
    monkeypatch.setattr(module, "PIPE", tmp_path / "vrrp")
    os.mkfifo(module.PIPE)
    pipe = os.open(module.PIPE, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert module.is_current(pipe)
        module.PIPE.rename(tmp_path / "old")
        assert not module.is_current(pipe)
        os.mkfifo(module.PIPE)
        assert not module.is_current(pipe)
    finally:
        os.close(pipe)


def test_the_higher_number_has_the_lower_priority_and_nobody_preempts() -> None:
    def value(host: str, name: str) -> str:
        lines = files_of(host, **PAIRS)["/etc/keepalived/keepalived.conf"].split("\n")
        return next(line.split()[-1] for line in lines if line.split()[:1] == [name])

    assert int(value("lb1", "priority")) > int(value("lb2", "priority"))
    assert value("lb1", "unicast_src_ip") == str(estate(**PAIRS)["lb1"].host.address)
    config = files_of("lb1", **PAIRS)["/etc/keepalived/keepalived.conf"]
    assert "    nopreempt\n" in config
    assert f"        {estate(**PAIRS)['lb2'].host.address}\n" in config
    assert "auth_pass" not in config

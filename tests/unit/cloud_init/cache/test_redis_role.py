"""Of two caches: what a Redis becomes when it starts, and what the sentinels decide."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import PAIRS, files_of, program


def redis_role(host: str = "cache1") -> ModuleType:
    text = files_of(host, **PAIRS)["/usr/local/lib/ha/redis-role"]
    program("base/files/usr/local/lib/ha/ha_host.py")  # puts what it imports in reach
    module = ModuleType("redis_role")
    exec(compile(text, "redis-role", "exec"), module.__dict__)
    return module


ROLE = redis_role()


OWN, OTHER = ROLE.OWN, ROLE.OTHER


@pytest.mark.parametrize(
    ("other", "votes", "chosen"),
    [
        ("slave", [(0, OWN), (0, OWN), (0, OWN)], OWN),
        ("", [(3, OTHER), (3, OTHER)], OTHER),
        ("", [(3, OTHER), (2, OWN)], OTHER),  # the later decision counts: the own sentinel slept through it
        ("master", [(2, OWN), (2, OWN)], OTHER),  # just promoted: the sentinels have not noted it yet
        ("", [(2, OWN)], OWN),  # all others are lost
    ],
)
def test_what_a_redis_is_to_be_when_it_starts(other: str, votes: list[tuple[int, str]], chosen: str) -> None:
    assert ROLE.master(lambda address: other, lambda: [ROLE.Vote(*v) for v in votes], 0) == chosen


def test_a_redis_that_nobody_can_tell_does_not_start() -> None:
    with pytest.raises(LookupError):
        ROLE.master(lambda address: "", list, 0)


def test_one_sentinel_is_not_believed_at_once() -> None:
    answers = [[ROLE.Vote(0, OWN)], [ROLE.Vote(0, OWN)], [ROLE.Vote(0, OWN), ROLE.Vote(1, OTHER)]]
    assert ROLE.master(lambda address: "", lambda: answers.pop(0), 60) == OTHER


def test_a_redis_that_is_being_replaced_waits_for_what_comes_of_it() -> None:
    replacing = [ROLE.Vote(2, OWN), ROLE.Vote(2, OWN, replacing=True), ROLE.Vote(2, OWN)]
    answers = [replacing, replacing, [ROLE.Vote(2, OWN), ROLE.Vote(3, OTHER), ROLE.Vote(2, OWN)]]
    assert ROLE.master(lambda address: "", lambda: answers.pop(0), 60) == OTHER
    assert ROLE.master(lambda address: "", lambda: replacing, 0) == OWN, "and not for ever"


def test_what_a_sentinel_says_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(flags: str) -> list[str]:
        return ["name", "sessions", "ip", OTHER, "flags", flags, "config-epoch", "7", "quorum", "2"]

    said = {"a": words("master"), "b": words("master,o_down,failover_in_progress"), "c": ["name", "sessions"]}
    monkeypatch.setattr(ROLE, "parameter", lambda *_, **__: "secret")
    monkeypatch.setattr(ROLE, "ask", lambda address, *_: said[address])
    assert ROLE.vote("a") == (7, OTHER, False)
    assert ROLE.vote("b") == (7, OTHER, True)
    assert ROLE.vote("c") is None


@pytest.mark.parametrize(
    ("votes", "replaced"),
    [
        ([(2, OTHER), (2, OTHER), (1, OWN)], True),
        ([(2, OTHER), (1, OWN), (1, OWN)], False),  # one alone does not decide
        ([(2, OWN), (2, OWN), (1, OTHER)], False),
        ([(2, OTHER), (2, OTHER), (2, OTHER, True)], False),  # one makes this one the master
        ([], False),
    ],
)
def test_a_master_is_replaced_when_two_sentinels_say_so(votes: list[tuple[Any, ...]], replaced: bool) -> None:
    assert ROLE.replaced([ROLE.Vote(*v) for v in votes]) is replaced


def test_each_of_a_pair_knows_the_other_and_three_sentinels() -> None:
    second = redis_role("cache2")
    assert (second.OWN, second.OTHER) == (OTHER, OWN)
    assert len(set(ROLE.SENTINELS)) == 3


def test_the_monitors_sentinel_never_leads() -> None:
    # Of three, two are left when a host is lost: each could vote for itself.
    found = {}
    for host in ("cache1", "cache2", "monitor1"):
        conf = files_of(host, **PAIRS)["/usr/local/lib/ha/sentinel"]
        quorum = re.search(r"^sentinel monitor sessions MASTER (\d+)$", conf, re.M)
        missed = re.search(r"^sentinel down-after-milliseconds sessions (\d+)$", conf, re.M)
        assert quorum is not None
        assert missed is not None
        found[host] = int(quorum[1]), int(missed[1])
    assert found["cache1"] == found["cache2"] == (2, 1200)
    quorum_of_monitor, missed_ms = found["monitor1"]
    assert quorum_of_monitor > len(found)
    # Sentinel pings as often as that, so it knows after twice the time and two of its rounds at the latest: before
    # another one asks.
    assert 2 * missed_ms + 200 <= found["cache1"][1]


def test_the_monitors_sentinel_cannot_read_sessions() -> None:
    step = files_of("cache1", **PAIRS)["/usr/local/lib/ha/steps/40-redis"]
    users = {line.split()[1]: line for line in step.splitlines() if line.startswith("user ")}
    assert {"default", "exporter", "replica", "sentinel", "route"} == set(users)
    assert "resetkeys" in users["sentinel"]
    assert users["route"] == "user route on nopass resetkeys resetchannels -@all +role"


class Pair:
    """Two Redis as `hand_over` sees them, and a sentinel that promotes at once if it `obeys`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, link: str = "up", obeys: bool = True, lag: int = 0) -> None:
        self.master, self.obeys, self.lag, self.link = OWN, obeys, lag, link
        self.refuses = 0
        self.done: list[str] = []
        self.replica_of = {OTHER: OWN}
        for name in ("administer", "ask", "replication", "role", "vote"):
            monkeypatch.setattr(ROLE, name, getattr(self, name))
        monkeypatch.setattr(ROLE, "parameter", lambda *a, **k: "password")
        monkeypatch.setattr(ROLE, "PAUSE_MS", 200)
        monkeypatch.setattr(ROLE, "SEEN_S", 0.01)
        monkeypatch.setattr(ROLE, "IN_SYNC_S", 0.1)
        monkeypatch.setattr(ROLE, "PAUSE_BETWEEN_S", 0.01)

    def administer(self, address: str, *commands: str) -> list[str]:
        assert address == OWN
        for command in commands:
            self.done.append(" ".join(command.split()[:2]))
            if command.startswith("REPLICAOF"):
                self.replica_of[OWN] = command.split()[1]
        return []

    def ask(self, address: str, port: int, *commands: str) -> list[str]:
        self.done.append(commands[1])
        if self.refuses:
            self.refuses -= 1
            raise OSError("-NOGOODSLAVE No suitable replica to promote")
        if self.obeys:
            self.master = OTHER
            del self.replica_of[OTHER]
        return []

    def role(self, address: str) -> str:
        return "slave" if address in self.replica_of else "master"

    def replication(self, address: str) -> dict[str, str]:
        if address not in self.replica_of:
            return {"role": "master", "master_repl_offset": "100"}
        link = {"master_host": self.replica_of[address], "master_link_status": self.link}
        return {"role": "slave", "slave_repl_offset": str(100 - self.lag), **link}

    def vote(self, address: str) -> Any:
        return ROLE.Vote(1, self.master)


def test_a_master_is_handed_over_while_writes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(monkeypatch)
    ROLE.hand_over()
    wanted = ["CLIENT PAUSE", "SENTINEL FAILOVER sessions", f"REPLICAOF {OTHER}", "CLIENT KILL", "CLIENT UNPAUSE"]
    assert pair.done == wanted
    ROLE.hand_over()
    assert pair.done == wanted, "a replica has nothing to hand over"


@pytest.mark.parametrize(
    ("given", "said", "done"),
    [
        ({"link": "down"}, "not a replica in sync", []),
        ({"lag": 1}, "lags behind", ["CLIENT PAUSE", "CLIENT UNPAUSE"]),
        ({"obeys": False}, "did not make", 5 * ["CLIENT PAUSE", "SENTINEL FAILOVER sessions", "CLIENT UNPAUSE"]),
    ],
)
def test_a_master_that_cannot_be_handed_over_stays_one(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str, done: list[str]
) -> None:
    pair = Pair(monkeypatch, **given)
    with pytest.raises(OSError, match=said):
        ROLE.hand_over()
    assert pair.done == done
    assert pair.role(OWN) == "master"


def test_a_sentinel_that_reconnects_to_the_replica_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It then knows no replica to promote, a moment after it knew one."""
    pair = Pair(monkeypatch)
    pair.refuses = 2
    ROLE.hand_over()
    assert pair.done.count("SENTINEL FAILOVER sessions") == 3
    assert pair.done.count("CLIENT PAUSE") == pair.done.count("CLIENT UNPAUSE") == 3
    assert pair.replica_of == {OWN: OTHER}


def test_a_sentinel_that_was_slow_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(monkeypatch, obeys=False)

    def late(address: str) -> Any:
        if "SENTINEL FAILOVER sessions" in pair.done:
            pair.master = OTHER
            pair.replica_of.pop(OTHER, None)
        return ROLE.Vote(1, pair.master)

    monkeypatch.setattr(ROLE, "vote", late)
    ROLE.hand_over()
    assert pair.done.count("SENTINEL FAILOVER sessions") == 1
    assert pair.replica_of == {OWN: OTHER}


def test_a_sentinel_that_thinks_otherwise_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(monkeypatch)
    pair.master = OTHER
    with pytest.raises(OSError, match="sentinel"):
        ROLE.hand_over()
    assert pair.done == []


def test_a_redis_that_does_not_run_has_nothing_to_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(address: str) -> dict[str, str]:
        raise ConnectionRefusedError

    monkeypatch.setattr(ROLE, "replication", refused)
    ROLE.hand_over()


def test_writes_wait_for_less_than_what_makes_a_sentinel_give_a_master_up() -> None:
    conf = files_of("cache1", **PAIRS)["/usr/local/lib/ha/sentinel"]
    (limit,) = re.findall(r"down-after-milliseconds sessions (\d+)", conf)
    assert int(limit) > ROLE.PAUSE_MS > ROLE.SEEN_S * 1000


def test_the_sentinels_user_may_hand_over() -> None:
    step = files_of("cache1", **PAIRS)["/usr/local/lib/ha/steps/40-redis"]
    (user,) = [line.split() for line in step.splitlines() if line.startswith("user sentinel ")]
    assert {"+client|pause", "+client|unpause", "+client|kill", "+replicaof", "+info"} <= set(user)

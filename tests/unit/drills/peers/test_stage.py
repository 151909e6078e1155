"""An estate whose database is not ours is marked as such until ours is back, whatever happens between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast
from unittest.mock import MagicMock

import pytest

from components.user_data import HostFile
from drills.lab_ground import LabGround
from drills.peers.contenders import CONTENDERS, OURS
from drills.peers.files import Files
from drills.peers.stage import SET_UP_AGAIN, SET_UP_STATE, Stage, refuse_spent
from ops.estate import Estate
from spec.errors import EXIT_USAGE, HaError
from tests.unit.drills.peers.test_files import SETTINGS

PATRONI = CONTENDERS["patroni-defaults"]
TUNED = CONTENDERS["patroni-tuned"]
FILES: dict[str, Files] = {
    "ours": {"db1": {"/a": HostFile("/a", "ours\n", executable=False)}, "monitor1": {}, "app1": {}},
    "patroni-defaults": {"db1": {"/b": HostFile("/b", "theirs\n", executable=True)}, "monitor1": {}, "app1": {}},
    "patroni-tuned": {"db1": {"/b": HostFile("/b", "tuned\n", executable=True)}, "monitor1": {}, "app1": {}},
}


class Hosts(LabGround):
    """A ground whose hosts note what they are told."""

    told: list[tuple[str, str]]
    answer: Callable[[str], str]

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        self.told.append((host, script))
        return self.answer(script) or ('{"state": "ready"}' if SET_UP_STATE in script else "")

    def scripts(self, host: str) -> str:
        return "\n".join(script for name, script in self.told if name == host)


@pytest.fixture
def hosts() -> Hosts:
    found = Hosts(MagicMock(), cast(Estate, MagicMock(stack="dev")), SETTINGS)
    object.__setattr__(found, "told", [])
    object.__setattr__(found, "answer", lambda _: "")
    return found


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "spent"


@pytest.fixture
def stage(hosts: Hosts, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("drills.peers.stage.Firewall", MagicMock())
    monkeypatch.setattr("drills.peers.stage.healthy_within", lambda *_: None)
    return Stage(hosts, FILES, mark, lambda _: None)


def test_an_estate_is_spent_from_the_first_change_until_ours_is_healthy_again(stage: Stage, mark: Path) -> None:
    stage.put(OURS)
    refuse_spent(mark)
    stage.put(PATRONI)
    with pytest.raises(HaError, match="spent: Patroni, its defaults") as refused:
        refuse_spent(mark)
    assert refused.value.exit_code == EXIT_USAGE
    stage.put_back()
    refuse_spent(mark)


def test_an_estate_that_does_not_become_healthy_again_stays_spent(
    stage: Stage, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise HaError("not healthy within 240 s")

    stage.put(PATRONI)
    monkeypatch.setattr("drills.peers.stage.healthy_within", never)
    with pytest.raises(HaError, match="the estate is spent: not healthy"):
        stage.put_back()
    with pytest.raises(HaError):
        refuse_spent(mark)


def test_ours_comes_back_also_when_it_was_only_half_taken_away(stage: Stage, hosts: Hosts, mark: Path) -> None:
    def broken(script: str) -> str:
        if "pgautofailover" in script:
            raise HaError("a host is gone")
        return ""

    object.__setattr__(hosts, "answer", broken)
    with pytest.raises(HaError, match="a host is gone"):
        stage.put(PATRONI)
    object.__setattr__(hosts, "answer", lambda _: "")
    hosts.told.clear()
    stage.put_back()
    assert "/dev/stdin /a" in hosts.scripts("db1")
    assert SET_UP_AGAIN in hosts.scripts("db1")
    assert not mark.exists()


def test_a_host_that_cannot_be_set_up_is_named_with_what_it_said(stage: Stage, hosts: Hosts) -> None:
    failed = '{"state": "failed", "step": "50-node", "error": "no such thing"}'
    object.__setattr__(hosts, "answer", lambda script: failed if script.startswith("cat ") else "")
    with pytest.raises(HaError, match="monitor1 could not be set up: no such thing") as error:
        stage.put(PATRONI)
    assert error.value.where == "step 50-node"


def test_files_are_exchanged_before_the_set_up_runs_again(stage: Stage, hosts: Hosts) -> None:
    stage.put(PATRONI)
    told = hosts.scripts("db1")
    order = (
        "systemctl stop ha-stalled-disk ha-stalled-keeper ha-stalled-standby pgautofailover",
        "rm -f /a",
        "install -D -m 0755 /dev/stdin /b",
        SET_UP_AGAIN,
    )
    assert [told.index(part) for part in order] == sorted(told.index(part) for part in order)


def test_patroni_is_begun_with_an_empty_database_each_time(stage: Stage, hosts: Hosts) -> None:
    stage.put(PATRONI)
    for again in (TUNED, TUNED):
        hosts.told.clear()
        stage.put(again)
        assert "rm -rf /srv/data/patroni /var/lib/etcd/default" in hosts.scripts("db1")
        assert "rm -rf /srv/data/postgresql" not in hosts.scripts("db1")

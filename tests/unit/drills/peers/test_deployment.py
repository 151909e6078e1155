"""While a contender is deployed a file says so, until ours is healthy again, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast
from unittest.mock import MagicMock

import pytest

from components.host_files import HostFile
from drills.fault_injector import FaultInjector
from drills.peers.contenders import CONTENDERS, OURS
from drills.peers.deployment import SET_UP_AGAIN, SET_UP_STATE, Deployment, refuse_contender
from drills.peers.files import Files
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


class FakeHosts(FaultInjector):
    """Records the scripts that hosts are to run."""

    ran: list[tuple[str, str]]
    answer: Callable[[str], str]

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        self.ran.append((host, script))
        return self.answer(script) or ('{"state": "ready"}' if SET_UP_STATE in script else "")

    def scripts(self, host: str) -> str:
        return "\n".join(script for name, script in self.ran if name == host)


@pytest.fixture
def hosts() -> FakeHosts:
    found = FakeHosts(MagicMock(), cast(Estate, MagicMock(stack="dev")), SETTINGS)
    object.__setattr__(found, "ran", [])
    object.__setattr__(found, "answer", lambda _: "")
    return found


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "contender"


@pytest.fixture
def deployment(hosts: FakeHosts, record: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr("drills.peers.deployment.Firewall", MagicMock())
    monkeypatch.setattr("drills.peers.deployment.healthy_within", lambda *_: None)
    return Deployment(hosts, FILES, record, lambda _: None)


def test_drills_are_refused_from_the_first_change_until_ours_is_healthy_again(
    deployment: Deployment, record: Path
) -> None:
    deployment.deploy(OURS)
    refuse_contender(record)
    deployment.deploy(PATRONI)
    with pytest.raises(HaError, match="still runs Patroni, its defaults") as refused:
        refuse_contender(record)
    assert refused.value.exit_code == EXIT_USAGE
    deployment.restore()
    refuse_contender(record)


def test_drills_stay_refused_when_ours_does_not_become_healthy(
    deployment: Deployment, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise HaError("not healthy within 240 s")

    deployment.deploy(PATRONI)
    monkeypatch.setattr("drills.peers.deployment.healthy_within", never)
    with pytest.raises(HaError, match="could not be deployed again: not healthy"):
        deployment.restore()
    with pytest.raises(HaError):
        refuse_contender(record)


def test_ours_is_deployed_again_also_when_it_was_only_half_stopped(
    deployment: Deployment, hosts: FakeHosts, record: Path
) -> None:
    def broken(script: str) -> str:
        if "pgautofailover" in script:
            raise HaError("a host is gone")
        return ""

    object.__setattr__(hosts, "answer", broken)
    with pytest.raises(HaError, match="a host is gone"):
        deployment.deploy(PATRONI)
    object.__setattr__(hosts, "answer", lambda _: "")
    hosts.ran.clear()
    deployment.restore()
    assert "/dev/stdin /a" in hosts.scripts("db1")
    assert SET_UP_AGAIN in hosts.scripts("db1")
    assert not record.exists()


def test_a_host_whose_set_up_fails_is_named_with_its_last_lines(deployment: Deployment, hosts: FakeHosts) -> None:
    failed = '{"state": "failed", "step": "50-node", "error": "no such thing"}'
    object.__setattr__(hosts, "answer", lambda script: failed if script.startswith("cat ") else "")
    with pytest.raises(HaError, match="the set-up of monitor1 failed: no such thing") as error:
        deployment.deploy(PATRONI)
    assert error.value.where == "step 50-node"


def test_files_are_replaced_before_the_set_up_runs_again(deployment: Deployment, hosts: FakeHosts) -> None:
    deployment.deploy(PATRONI)
    scripts = hosts.scripts("db1")
    order = (
        "systemctl stop ha-rebuild.timer ha-stalled-disk ha-stalled-keeper ha-stalled-standby pgautofailover",
        "rm -f /a",
        "install -D -m 0755 /dev/stdin /b",
        SET_UP_AGAIN,
    )
    assert [scripts.index(part) for part in order] == sorted(scripts.index(part) for part in order)


def test_patroni_starts_with_an_empty_database_each_time(deployment: Deployment, hosts: FakeHosts) -> None:
    deployment.deploy(PATRONI)
    for again in (TUNED, TUNED):
        hosts.ran.clear()
        deployment.deploy(again)
        assert "rm -rf /srv/data/patroni /var/lib/etcd/default" in hosts.scripts("db1")
        assert "rm -rf /srv/data/postgresql" not in hosts.scripts("db1")

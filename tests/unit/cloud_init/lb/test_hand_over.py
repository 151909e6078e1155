"""How a load balancer gives the public address to the other one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.unit.cloud_init.rendering import PAIRS
from tests.unit.cloud_init.simulated_host import SimulatedHost

# The other one serves, unless there is a file `down`; visitors come here once more after the address has moved.
CURL = r"""
case "$*" in
  *haproxy-alive*) [ ! -e ROOT/down ] ;;
  *stats*) echo '# pxname,svname,rate,'; echo "web,FRONTEND,$(cat ROOT/visitors),"; echo 0 >ROOT/visitors ;;
esac
"""


def balancer(folder: Path, *, active: bool, state: str) -> SimulatedHost:
    host = SimulatedHost(folder, "lb1", **PAIRS)
    (host.root / "run/ha").mkdir(parents=True)
    say(host, active=active, state=state)
    (host.root / "visitors").write_text("5\n")
    host.stand_in("curl", CURL)
    host.stand_in("sleep")
    # What keepalived and ha-address do.
    answer = json.dumps({"state": "BACKUP", "active": False})
    host.stand_in("systemctl", f"echo '{answer}' >ROOT/run/ha/address.json")
    return host


def say(host: SimulatedHost, *, active: bool, state: str) -> None:
    (host.root / "run/ha/address.json").write_text(json.dumps({"state": state, "active": active}))


def hand_over(host: SimulatedHost) -> subprocess.CompletedProcess[str]:
    return host.run(f"{host.root}/usr/local/lib/ha/hand-over")


def test_the_active_one_steps_back_and_waits_until_nobody_comes(tmp_path: Path) -> None:
    host = balancer(tmp_path, active=True, state="MASTER")
    done = hand_over(host)
    assert done.returncode == 0, done.stderr
    assert host.sandbox.calls("systemctl") == ["systemctl restart keepalived"]
    looks = [call for call in host.sandbox.calls("curl") if "stats" in call]
    assert len(looks) == 1 + 4, "four times nobody, after somebody"


def test_the_other_one_has_nothing_to_give(tmp_path: Path) -> None:
    host = balancer(tmp_path, active=False, state="BACKUP")
    assert hand_over(host).returncode == 0
    assert host.sandbox.calls("systemctl") == []


def test_one_that_has_just_booted_has_nothing_to_give(tmp_path: Path) -> None:
    host = balancer(tmp_path, active=True, state="MASTER")
    (host.root / "run/ha/address.json").unlink()
    assert hand_over(host).returncode == 0


@pytest.mark.parametrize(("active", "state"), [(True, "BACKUP"), (False, "MASTER")])
def test_either_half_of_being_active_counts(tmp_path: Path, active: bool, state: str) -> None:
    host = balancer(tmp_path, active=active, state=state)
    assert hand_over(host).returncode == 0
    assert host.sandbox.calls("systemctl") == ["systemctl restart keepalived"]


def test_it_keeps_the_address_when_the_other_one_does_not_serve(tmp_path: Path) -> None:
    host = balancer(tmp_path, active=True, state="MASTER")
    (host.root / "down").touch()
    done = hand_over(host)
    assert done.returncode != 0
    assert done.stderr.startswith("not handed over: lb2 does not serve visitors")
    assert host.sandbox.calls("systemctl") == []

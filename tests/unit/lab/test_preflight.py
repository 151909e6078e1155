"""Refusals: each names what is wrong and what to do, with exit code 2, before anything is made."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab import preflight
from lab.process import Finished
from lab.pulumi_cli import find_pulumi
from spec.errors import HaError


def refusal(error: pytest.ExceptionInfo[HaError]) -> str:
    """What the user reads; every refusal is bad usage and says what to do."""
    assert error.value.exit_code == 2
    assert error.value.fix
    return str(error.value)


def test_without_root_the_lab_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HaError) as refused:
        preflight.check_system()
    assert "needs root" in refusal(refused)


def test_on_another_system_the_lab_says_which_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(HaError) as refused:
        preflight.check_system()
    assert "needs Linux; this is darwin" in refusal(refused)


def test_missing_programs_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    missing = {"systemd-nspawn", "nft"}
    monkeypatch.setattr(preflight, "find_program", lambda name: None if name in missing else f"/usr/bin/{name}")
    with pytest.raises(HaError) as refused:
        preflight.check_system()
    assert "apt-get install nftables systemd-container" in refusal(refused)


@pytest.mark.parametrize(("used", "enough"), [(72, True), (73, False)])
def test_too_few_inotify_instances_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, used: int, enough: bool
) -> None:
    (tmp_path / "limit").write_text("128\n")
    monkeypatch.setattr(preflight, "_WATCHES_LIMIT", tmp_path / "limit")
    monkeypatch.setattr(preflight, "watches_in_use", lambda: used)
    if enough:
        preflight.check_watches(7)
        return
    with pytest.raises(HaError) as refused:
        preflight.check_watches(7)
    assert "7 hosts need about 56 inotify instances; 73 of root's 128 are in use" in refusal(refused)


@pytest.mark.parametrize(
    ("wanted", "overlaps"),
    [
        ("10.20.0.0/16", True),
        ("10.20.3.0/24", True),
        ("10.0.0.0/8", True),
        ("10.21.0.0/16", False),
        ("192.168.7.0/24", True),
    ],
)
def test_a_range_in_use_on_the_machine_is_refused(monkeypatch: pytest.MonkeyPatch, wanted: str, overlaps: bool) -> None:
    used = [(IPv4Network("10.20.0.0/18"), "interface eth0"), (IPv4Network("192.168.7.9/32"), "route by tun0")]
    monkeypatch.setattr(preflight, "machine_networks", lambda: used)
    if not overlaps:
        preflight.check_addresses([IPv4Network(wanted)])
        return
    with pytest.raises(HaError) as refused:
        preflight.check_addresses([IPv4Network(wanted)])
    assert f"{wanted} of the stack is in use" in refusal(refused)


@pytest.mark.parametrize("own", ["100.64.0.0/10", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/28"])
def test_a_range_that_the_lab_itself_uses_is_refused(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setattr(preflight, "machine_networks", list)
    with pytest.raises(HaError) as refused:
        preflight.check_addresses([IPv4Network(own)])
    assert f"{own} of the stack overlaps one that the lab itself uses" in refusal(refused)


def test_a_default_route_in_parts_takes_no_range(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = [{"dst": "default"}, {"dst": "0.0.0.0/1", "dev": "tun0"}, {"dst": "128.0.0.0/1", "dev": "tun0"}]
    routes.append({"dst": "10.9.0.0/16", "dev": "tun0"})

    def run(argv: list[str]) -> Finished:
        return Finished(tuple(argv), 0, json.dumps(routes if "route" in argv else []), "")

    monkeypatch.setattr("lab.process.run", run)
    assert preflight.machine_networks() == [(IPv4Network("10.9.0.0/16"), "route by tun0")]


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ({80: 70000, 443: 8443}, "70000 is not a port number"),
        ({80: 0, 443: 8443}, "0 is not a port number"),
        ({80: 8080, 443: 8080}, "port 8080 of this machine cannot lead to two ports"),
    ],
)
def test_impossible_ports_are_refused(ports: dict[int, int], said: str) -> None:
    with pytest.raises(HaError) as refused:
        preflight.bind_ports(ports)
    assert said in refusal(refused)


def test_without_the_pulumi_cli_nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find_pulumi.cache_clear()
    monkeypatch.setenv("HA_PULUMI", str(tmp_path / "none"))
    with pytest.raises(HaError) as refused:
        preflight.check_setup()
    assert "there is no Pulumi CLI" in refusal(refused)


def test_a_busy_port_is_named_and_no_other_stays_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free, taken = probe.getsockname()[1], busy.getsockname()[1]
        probe.close()
        with pytest.raises(HaError) as refused:
            preflight.bind_ports({80: free, 443: taken})
        said = refusal(refused)
        assert f"port {taken} of this machine is busy" in said
        assert said.count("127.0.0.1") == 1
        assert "`ha lab up --https-port N`" in said
        socket.create_server(("127.0.0.1", free)).close()

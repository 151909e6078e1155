"""Refusals: each names what is wrong and what to do, with exit code 2, before anything is made."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network

import pytest

from components.errors import HaError
from lab import preflight


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


def test_a_busy_port_is_named_and_no_other_stays_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free, taken = probe.getsockname()[1], busy.getsockname()[1]
        probe.close()
        with pytest.raises(HaError) as refused:
            preflight.bind_ports({80: free, 443: taken})
        assert f"port {taken} of this machine is busy" in refusal(refused)
        socket.create_server(("127.0.0.1", free)).close()

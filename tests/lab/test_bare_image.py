"""Every role boots from plain Debian: each host installs its own packages, as on AWS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import free_ports
from tests.lab.estate.booted import Booted

# Seven hosts fetch and unpack their packages at the same time.
BOOT_S = 2400
pytestmark = [pytest.mark.lab, pytest.mark.timeout(BOOT_S + 300)]


def test_every_role_boots_from_plain_debian(tmp_path: Path) -> None:
    estate = Booted(tmp_path / "state", free_ports())
    try:
        up = estate.up("--bare-image", timeout_s=BOOT_S)
        assert up.exit_code == 0, f"{up.stdout}\n{up.stderr}"
        assert estate.lab.status()["image"] == "bare"
        status = estate.status()
        assert status["healthy"] is True
        assert {host["state"] for host in status["hosts"]} == {"ready"}
        assert len(status["hosts"]) == 7
    finally:
        down = estate.ha("lab", "down")
    assert down.exit_code == 0, down.stderr
    assert not estate.state.exists()

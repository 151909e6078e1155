"""A host that cannot set itself up is named, with its step and what it said; the others stay up for inspection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.checkout import copy_checkout
from tests.lab.conftest import free_ports
from tests.lab.estate.booted import Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_a_host_that_fails_is_reported_and_the_others_stay(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "copy")
    step = checkout / "cloud-init/cache/steps/05-broken.sh"
    step.write_text("#!/bin/bash\necho 'the flux capacitor is empty' >&2\nexit 1\n", encoding="utf-8")
    estate = Booted(tmp_path / "state", free_ports())
    try:
        up = estate.up(project_dir=checkout)
        assert up.exit_code == 1, f"{up.stdout}\n{up.stderr}"
        assert "cache1 failed in step 05-broken" in up.stderr
        assert "the flux capacitor is empty" in up.stderr
        stages = {phase.name: phase.stage for phase in estate.lab.host_phases()}
        assert stages.pop("cache1") == "failed"
        assert len(stages) == 6
        assert not {"failed", "crashed", "stopped"} & set(stages.values())
        assert estate.on_host("lb1", "true").exit_code == 0
        assert "the flux capacitor is empty" in estate.ha("lab", "logs", "cache1", project_dir=checkout).stdout
        # As on AWS without its agent: Run Command does not reach it, its console is kept.
        estate.lab.power_loss("cache1")
        status = json.loads(estate.ha("--lab", "status", "--json", project_dir=checkout).stdout)
        cache1 = next(host for host in status["hosts"] if host["name"] == "cache1")
        assert cache1["state"] == "unreachable"
        assert any("ha-setup[" in line and "the flux capacitor is empty" in line for line in cache1["console"])
        assert [host["name"] for host in status["hosts"] if host["console"]] == ["cache1"]
        shown = estate.ha("--lab", "status", project_dir=checkout).stdout
        assert f"console of cache1 ({cache1['instance_id']}):" in shown
    finally:
        down = estate.ha("lab", "down", project_dir=checkout)
    assert down.exit_code == 0, down.stderr
    assert not estate.state.exists()

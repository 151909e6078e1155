"""The phase of a host, read from the files that it writes about itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.hosts.phase import Phase, Stage, phase_from_reports

RESULT = "run/cloud-init/result.json"
SETUP = "run/ha/setup.json"
PROGRAM = "usr/local/sbin/ha-bootstrap"
FINE = json.dumps({"v1": {"datasource": "Ec2", "errors": []}})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Phase(stage=Stage.BOOTING)),
        ({RESULT: "{half a docum"}, Phase(stage=Stage.BOOTING)),
        ({RESULT: FINE}, Phase(stage=Stage.READY)),
        ({RESULT: FINE, PROGRAM: ""}, Phase(stage=Stage.BOOTING)),
        (
            {RESULT: json.dumps({"v1": {"errors": ["bad user data"]}}), PROGRAM: ""},
            Phase(stage=Stage.FAILED, step="cloud-init", error="bad user data"),
        ),
        (
            {PROGRAM: "", SETUP: json.dumps({"state": "running", "step": "40-postgres"})},
            Phase(stage=Stage.SETUP, step="40-postgres"),
        ),
        (
            {PROGRAM: "", SETUP: json.dumps({"state": "failed", "step": "20-data-volume", "error": "no disk"})},
            Phase(stage=Stage.FAILED, step="20-data-volume", error="no disk"),
        ),
        ({RESULT: FINE, PROGRAM: "", SETUP: json.dumps({"state": "ready", "step": ""})}, Phase(stage=Stage.READY)),
    ],
)
def test_phase_from_a_hosts_reports(tmp_path: Path, files: dict[str, str], expected: Phase) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert phase_from_reports(tmp_path) == expected

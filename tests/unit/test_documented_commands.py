"""Commands that users are told to type do not harm the checkout that they type them in."""

from __future__ import annotations

import subprocess

from spec.project import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def test_no_command_deletes_the_settings_of_a_stack() -> None:
    removals = [
        line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if "pulumi stack rm" in line
    ]
    assert removals
    assert [line for line in removals if "--preserve-config" not in line] == []


def test_make_lab_hands_its_ports_on() -> None:
    ports = ["HTTP_PORT=8081", "HTTPS_PORT=8444"]
    told = subprocess.run(
        ["make", "--dry-run", "lab", *ports], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "ha lab up --stack dev --http-port 8081 --https-port 8444" in told.stdout

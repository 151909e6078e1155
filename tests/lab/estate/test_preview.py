"""`ha lab preview` on the booted estate: nothing right after, and exactly what was edited."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.estate.booted import PROJECT_DIR, STACK, Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, with its release, to be edited."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in [*listing, *(str(p.relative_to(PROJECT_DIR)) for p in (PROJECT_DIR / "app/build").glob("*.tar.gz"))]:
        source, target = PROJECT_DIR / name, tmp_path / "copy" / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return tmp_path / "copy"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _preview(booted: Booted, project_dir: Path) -> dict[str, Any]:
    done = booted.ha("lab", "preview", "--stack", STACK, "--json", project_dir=project_dir)
    assert done.exit_code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_right_after_nothing_changes(booted: Booted) -> None:
    preview = _preview(booted, PROJECT_DIR)
    assert preview["changes"] == []
    assert preview["same"] > 100


def test_a_rule_a_size_and_a_tag_are_exactly_what_changes(booted: Booted, checkout: Path) -> None:
    _edit(checkout / "components/flows.py", '    Flow(WORLD, Tier.LB, ports.HTTPS, "visitors"),\n', "")
    _edit(checkout / "Pulumi.dev.yaml", "instance_type: t3.medium", "instance_type: t3.large")
    _edit(checkout / "components/network.py", 'tags=self.tags("vpc")', 'tags=self.tags("main")')
    changes = _preview(booted, checkout)["changes"]
    seen = {(c["op"], c["name"]): {p["path"]: (p["old"], p["new"]) for p in c["properties"]} for c in changes}
    size = {"instanceType": ("t3.medium", "t3.large")}
    assert seen.pop(("delete", "firewall-in-world-to-lb-443")) is not None
    assert seen.pop(("update", "app1")) == size
    assert seen.pop(("update", "app2")) == size
    tag = seen.pop(("update", "network-vpc"))
    assert {path for path in tag if not path.startswith("tagsAll")} == {"tags.Name"}
    assert tag["tags.Name"] == ("dev-vpc", "dev-main")
    assert seen == {}


def test_the_copy_itself_changes_nothing(booted: Booted, checkout: Path) -> None:
    assert _preview(booted, checkout)["changes"] == []

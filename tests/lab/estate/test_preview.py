"""`ha lab preview` on the booted estate: nothing right after, and exactly what was edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spec.project import REPOSITORY
from tests.lab.checkout import STACK, copy_checkout, edit
from tests.lab.estate.booted import Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, to be edited."""
    return copy_checkout(tmp_path / "copy")


def _preview(booted: Booted, project_dir: Path) -> dict[str, Any]:
    done = booted.ha("lab", "preview", "--stack", STACK, "--json", project_dir=project_dir)
    assert done.exit_code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_right_after_nothing_changes(booted: Booted) -> None:
    preview = _preview(booted, REPOSITORY)
    assert preview["changes"] == []
    assert preview["same"] > 100


def test_a_rule_a_size_and_a_tag_are_exactly_what_changes(booted: Booted, checkout: Path) -> None:
    edit(checkout / "spec/flows.py", '    Flow(WORLD, Tier.LB, ports.HTTPS, "visitors"),\n', "")
    edit(checkout / "Pulumi.dev.yaml", "instance_type: t3.medium", "instance_type: t3.large")
    edit(checkout / "components/network.py", 'tags=self.tags("vpc")', 'tags=self.tags("main")')
    changes = _preview(booted, checkout)["changes"]
    seen = {(c["op"], c["name"]): {p["path"]: (p["old"], p["new"]) for p in c["properties"]} for c in changes}
    size = {"instanceType": ("t3.medium", "t3.large")}
    assert seen.pop(("delete", "firewall-in-world-to-lb-443")) is not None
    assert seen.pop(("update", "app1")) == size
    assert seen.pop(("update", "app2")) == size
    # What says which settings the estate has, and which type a host in service is of.
    for name in ("settings", "settings-in-force", "app1-in-service", "app2-in-service"):
        assert set(seen.pop(("update", name))) == {"content"}
    tag = seen.pop(("update", "network-vpc"))
    assert {path for path in tag if not path.startswith("tagsAll")} == {"tags.Name"}
    assert tag["tags.Name"] == ("dev-vpc", "dev-main")
    assert seen == {}


def test_the_copy_itself_changes_nothing(booted: Booted, checkout: Path) -> None:
    assert _preview(booted, checkout)["changes"] == []

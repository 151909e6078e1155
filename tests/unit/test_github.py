"""The files that GitHub reads besides the workflows: who is asked, what is updated, what an issue says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from spec.project import REPOSITORY

GITHUB = REPOSITORY / ".github"
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
MANIFESTS = {"pip": "requirements.in", "npm": "package-lock.json", "gomod": "go.mod", "github-actions": ".github"}


def test_each_owned_path_is_there() -> None:
    lines = (GITHUB / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    owned = [line.split() for line in lines if line and not line.startswith("#")]
    assert owned
    for pattern, *owners in owned:
        assert all(owner.startswith("@") for owner in owners)
        assert owners, pattern
        assert list(REPOSITORY.glob(pattern.lstrip("/"))), pattern


def test_each_updated_folder_holds_packages_of_its_kind() -> None:
    document = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))
    assert {update["package-ecosystem"] for update in document["updates"]} == set(MANIFESTS)
    for update in document["updates"]:
        for folder in update.get("directories") or [update["directory"]]:
            assert (REPOSITORY / folder.lstrip("/") / MANIFESTS[update["package-ecosystem"]]).exists(), folder


def test_dependabot_moves_all_but_what_is_pinned_by_hand() -> None:
    """requirements*.in pin a version only where something else has to move with it."""
    document = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))
    required = "\n".join((REPOSITORY / f"requirements{part}.in").read_text(encoding="utf-8") for part in ("", "-dev"))
    pinned = {line.split("==")[0].split("[")[0] for line in required.splitlines() if "==" in line}
    (pip,) = [update for update in document["updates"] if update["package-ecosystem"] == "pip"]
    assert {entry["dependency-name"] for entry in pip["ignore"]} == pinned


@pytest.mark.parametrize("form", FORMS, ids=[form.stem for form in FORMS])
def test_an_issue_form_has_what_github_wants(form: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert document["name"]
    assert document["description"]
    fields = [field for field in document["body"] if field["type"] != "markdown"]
    assert all(field["type"] in {"input", "textarea", "dropdown", "checkboxes"} for field in fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert all(field["attributes"]["options"] for field in fields if field["type"] in {"dropdown", "checkboxes"})
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)

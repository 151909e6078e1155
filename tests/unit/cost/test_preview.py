"""An estimate from an engine's preview is that from the mocks; a preview that is not whole is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.errors import HaError
from cost import stack
from cost.kinds import UNKNOWN
from cost.preview import declared_in
from cost.program import record
from tests.unit.cost.conftest import Make

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    """A preview as `pulumi preview --json --show-sames` prints it, made from what the program registers."""
    recording = record(stack.PROJECT_DIR, "dev", stack.config_of("dev"))
    steps = [
        {
            "op": "same" if r.type.startswith("pulumi:") else "create",
            "urn": r.urn,
            "newState": {
                "urn": r.urn,
                "custom": not r.is_component,
                "type": r.type,
                "parent": r.parent,
                "inputs": {**r.inputs, "__defaults": []},
            },
        }
        for r in recording.registrations
    ]
    # The stack itself is registered by the first run of a process alone.
    same = sum(step["op"] == "same" for step in steps)
    return {"config": {}, "steps": steps, "changeSummary": {"create": len(steps) - same, "same": same}}


def save(folder: Path, document: Document) -> Path:
    path = folder / "preview.json"
    path.write_text(json.dumps(document))
    return path


def test_it_is_the_estimate_from_the_mocks(document: Document, tmp_path: Path, report_of: Make) -> None:
    declared = declared_in(save(tmp_path, document), "dev")
    mocked = report_of("dev")
    found = stack.report_of("dev", declared, region="us-east-1", budget_usd=mocked.budget_usd)
    assert found == mocked


def test_a_resource_that_goes_is_not_paid(document: Document, tmp_path: Path) -> None:
    gone = {"op": "delete", "urn": "urn:pulumi:dev::ha::aws:ec2/natGateway:NatGateway::old", "oldState": {}}
    declared = declared_in(save(tmp_path, {**document, "steps": [*document["steps"], gone]}), "dev")
    assert "old" not in {d.name for d in declared}


def test_a_replaced_resource_is_paid_once(document: Document, tmp_path: Path) -> None:
    steps = list(document["steps"])
    (step,) = [s for s in steps if s["urn"].endswith("instance:Instance::app1")]
    steps += [{**step, "op": "create-replacement"}, {"op": "delete-replaced", "urn": step["urn"]}]
    declared = declared_in(save(tmp_path, {**document, "steps": steps}), "dev")
    assert [d.name for d in declared if d.type.endswith(":Instance")].count("app1") == 1


def test_a_quantity_that_is_not_known_yet_is_unpriced_by_name(
    document: Document, tmp_path: Path, report_of: Make
) -> None:
    changed = json.loads(json.dumps(document))
    for step in changed["steps"]:
        if step["urn"].endswith("volume:Volume::db1-data"):
            step["newState"]["inputs"]["size"] = UNKNOWN
    declared = declared_in(save(tmp_path, changed), "dev")
    found = stack.report_of("dev", declared, region="us-east-1", budget_usd=report_of("dev").budget_usd)
    assert [(u.component, u.resource) for u in found.unpriced] == [("hosts/db1", "db1-data")]
    assert "size is unknown until the update" in found.unpriced[0].reason
    assert not found.within_budget


def truncated(path: Path) -> None:
    path.write_text(path.read_text()[:-1000])


def changed(**values: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def renamed(path: Path) -> None:
    path.write_text(path.read_text().replace("::ha::", "::other::"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncated, "it is not whole JSON"),
        (lambda path: path.write_text("[]"), "it has no steps"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it is not whole JSON"),
        (lambda path: path.unlink(), "No such file"),
        (changed(steps=[]), "there is no resource in it"),
        (changed(steps=["create"]), "a step in it has no operation"),
        (changed(steps=[{"op": "create", "urn": "u"}]), "has no new state"),
        (changed(changeSummary={"same": 400}), "unchanged resources, which cost as much as the others"),
        (renamed, "is not of project ha, stack dev"),
    ],
)
def test_a_preview_that_is_not_whole_or_not_ours_is_refused(
    spoil: Callable[[Path], None], said: str, document: Document, tmp_path: Path
) -> None:
    path = save(tmp_path, document)
    spoil(path)
    with pytest.raises(HaError) as refused:
        declared_in(path, "dev")
    assert refused.value.exit_code == 2
    assert said in refused.value.what
    assert "preview.json" in refused.value.where


def test_a_preview_of_another_stack_is_refused(document: Document, tmp_path: Path) -> None:
    with pytest.raises(HaError, match="is not of project ha, stack prod"):
        declared_in(save(tmp_path, document), "prod")

"""An estimate from an engine's preview is that from the mocks; an incomplete one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost import stacks
from cost.preview import resources_in
from cost.prices import PriceBook
from cost.resource_types import UNKNOWN
from spec.errors import HaError
from tests.unit.cost.conftest import Make
from tests.unit.cost.kept_runs import recording_of

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    """A preview as `pulumi preview --json --show-sames` prints it, made from what the program registers."""
    recording = recording_of("dev")
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


def test_it_is_the_estimate_from_the_mocks(
    book: PriceBook, document: Document, tmp_path: Path, report_of: Make
) -> None:
    declared = resources_in(save(tmp_path, document), "dev")
    mocked = report_of("dev")
    found = stacks.priced("dev", declared, book, budget_usd=mocked.budget_usd)
    assert found == mocked


def test_a_resource_that_goes_is_not_paid(document: Document, tmp_path: Path) -> None:
    gone = {"op": "delete", "urn": "urn:pulumi:dev::ha::aws:ec2/natGateway:NatGateway::old", "oldState": {}}
    declared = resources_in(save(tmp_path, {**document, "steps": [*document["steps"], gone]}), "dev")
    assert "old" not in {d.name for d in declared}


def test_a_replaced_resource_is_paid_once(document: Document, tmp_path: Path) -> None:
    steps = list(document["steps"])
    (step,) = [s for s in steps if s["urn"].endswith("instance:Instance::app1")]
    steps += [{**step, "op": "create-replacement"}, {"op": "delete-replaced", "urn": step["urn"]}]
    declared = resources_in(save(tmp_path, {**document, "steps": steps}), "dev")
    assert [d.name for d in declared if d.type.endswith(":Instance")].count("app1") == 1


def test_a_quantity_that_is_not_known_yet_is_unpriced_by_name(
    book: PriceBook, document: Document, tmp_path: Path, report_of: Make
) -> None:
    changed = json.loads(json.dumps(document))
    for step in changed["steps"]:
        if step["urn"].endswith("volume:Volume::db1-data"):
            step["newState"]["inputs"]["size"] = UNKNOWN
    declared = resources_in(save(tmp_path, changed), "dev")
    found = stacks.priced("dev", declared, book, budget_usd=report_of("dev").budget_usd)
    assert [(u.component, u.resource) for u in found.unpriced] == [("hosts/db1", "db1-data")]
    assert "size is unknown until the update" in found.unpriced[0].reason
    assert not found.within_budget


def test_a_preview_of_another_region_is_unpriced(book: PriceBook, document: Document, tmp_path: Path) -> None:
    provider = "urn:pulumi:dev::ha::pulumi:providers:aws::default"
    step = {
        "op": "create",
        "newState": {"urn": provider, "type": "pulumi:providers:aws", "inputs": {"region": "eu-west-1"}},
    }
    declared = resources_in(save(tmp_path, {**document, "steps": [*document["steps"], step]}), "dev")
    found = stacks.priced("dev", declared, book, budget_usd=Decimal(215))
    assert [(u.resource, u.type) for u in found.unpriced] == [("default", "pulumi:providers:aws")]


def test_tags_that_are_not_known_yet_are_no_fault(
    book: PriceBook, document: Document, tmp_path: Path, report_of: Make
) -> None:
    changed = json.loads(json.dumps(document))
    for step in changed["steps"]:
        if step["urn"].endswith("instance:Instance::db1"):
            step["newState"]["inputs"]["tags"] = UNKNOWN
    declared = resources_in(save(tmp_path, changed), "dev")
    found = stacks.priced("dev", declared, book, budget_usd=Decimal(215))
    assert found.monthly_usd == report_of("dev").monthly_usd


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
        (truncated, "it is not complete JSON"),
        (lambda path: path.write_text("[]"), "it has no steps"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it is not complete JSON"),
        (lambda path: path.unlink(), "No such file"),
        (changed(steps=[]), "it has no resources"),
        (changed(steps=["create"]), "a step in it has no operation"),
        (changed(steps=[{"op": "create", "urn": "u"}]), "has no new state"),
        (changed(steps=[{"op": "create", "newState": {"urn": 5, "type": "t"}}]), "has no new state"),
        (changed(steps=[{"op": "create", "newState": {"urn": "u", "type": 5}}]), "has no new state"),
        (changed(steps=[{"op": "create", "newState": {"urn": "u", "type": "t", "inputs": [1]}}]), "the inputs or"),
        (changed(changeSummary=["same"]), "no count of unchanged resources"),
        (changed(changeSummary={"same": "all"}), "no count of unchanged resources"),
        (lambda path: path.write_text("[" * 100_000), "nested too deeply"),
        (changed(changeSummary={"same": 400}), "unchanged resources, which cost as much as the others"),
        (renamed, "is not of project ha, stack dev"),
    ],
)
def test_a_preview_that_is_not_complete_or_not_ours_is_refused(
    spoil: Callable[[Path], None], said: str, document: Document, tmp_path: Path
) -> None:
    path = save(tmp_path, document)
    spoil(path)
    with pytest.raises(HaError) as refused:
        resources_in(path, "dev")
    assert refused.value.exit_code == 2
    assert said in refused.value.what
    assert "preview.json" in refused.value.where


def test_a_preview_of_another_stack_is_refused(document: Document, tmp_path: Path) -> None:
    with pytest.raises(HaError, match="is not of project ha, stack prod"):
        resources_in(save(tmp_path, document), "prod")

"""The project's own program on the real engine: the whole `dev` stack, without hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.aws.model import InstanceState
from lab.aws.service import AwsService
from lab.aws.snapshot import read_snapshot
from tests.engine.conftest import Project

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def applied(estate: Project) -> Iterator[Project]:
    estate.up()
    yield estate
    estate.destroy()


def test_the_estate_is_what_the_guide_draws(applied: Project, api: AwsService) -> None:
    snapshot = read_snapshot(api.snapshot_clients())
    running = {one.name: one for one in snapshot.instances if one.state is InstanceState.RUNNING}
    assert set(running) == {"lb1", "app1", "app2", "db1", "db2", "monitor1", "cache1"}
    hosts = applied.engine.outputs("dev")["hosts"]
    assert {name: str(one.private_ip) for name, one in running.items()} == hosts
    assert all(one.metadata.tokens_required and one.role_name for one in running.values())
    public = {name for name, one in running.items() if one.public_ip}
    assert public == {"lb1"}
    assert str(running["lb1"].public_ip) == applied.engine.outputs("dev")["public_address"]


def test_right_after_there_is_nothing_to_do(applied: Project) -> None:
    changes = applied.preview()
    assert not changes, changes.resources
    assert changes.same > 100


def test_an_edit_shows_exactly_what_it_changes(applied: Project) -> None:
    def edit(settings: dict[str, Any]) -> None:
        settings["cache"]["instance_type"] = "t3.small"
        settings["budget_monthly_usd"] = 230

    original = applied.stack_file.read_text(encoding="utf-8")
    applied.change(edit)
    try:
        changes = applied.preview()
    finally:
        applied.stack_file.write_text(original, encoding="utf-8")
    found = {(one.type, one.name): {change.path for change in one.properties} for one in changes.resources}
    # Not its user data, which would replace it, nor its volume's attachment.
    assert found == {
        ("aws:ec2/instance:Instance", "cache1"): {"instanceType"},
        ("aws:budgets/budget:Budget", "alerts-budget"): {"limitAmount"},
    }


def test_one_host_is_replaced_and_its_volume_stays(applied: Project, api: AwsService) -> None:
    before = read_snapshot(api.snapshot_clients())
    old = next(one for one in before.instances if one.name == "cache1")
    volume = next(one for one in before.volumes if one.attachment and one.attachment.instance_id == old.id and one.tags)
    template = applied.directory / "cloud-init" / "cache" / "files" / "etc" / "changed"
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text("a change of the host's files\n", encoding="utf-8")
    changes = {one.name: one.op for one in applied.preview().resources if one.op == "replace"}
    assert changes == {"cache1": "replace", "cache1-data": "replace"}
    applied.up()
    assert applied.done("delete-replaced", "create-replacement") == [
        ("delete-replaced", "cache1-data"),
        ("delete-replaced", "cache1"),
        ("create-replacement", "cache1"),
        ("create-replacement", "cache1-data"),
    ]
    after = read_snapshot(api.snapshot_clients())
    new = next(one for one in after.instances if one.name == "cache1" and one.state is InstanceState.RUNNING)
    assert new.id != old.id
    assert new.private_ip == old.private_ip
    kept = next(one for one in after.volumes if one.id == volume.id)
    assert kept.attachment is not None
    assert kept.attachment.instance_id == new.id
    assert not applied.preview()

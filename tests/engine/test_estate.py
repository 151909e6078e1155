"""The project's own program on the real engine: the whole `dev` stack, with hosts that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.aws.model import InstanceState
from lab.aws.service import AwsService
from lab.aws.snapshot import read_snapshot
from spec.errors import HaError
from spec.overrides import DESTROY
from spec.tiers import Tier
from tests.engine.conftest import Project
from tests.engine.hosts import BUCKET, OTHER_ACCESS_KEY, OTHER_ACCOUNT, Hosts, OtherAccount
from tests.unit.ops.fake_hosts import ANY

pytestmark = pytest.mark.engine

QUICK = "import ops.in_service, ops.roll_out\nops.in_service.SETTLES_S = ops.roll_out.SETTLES_S = 1.0\n"
"""Put before the program: how long an estate may take until it is seen healthy."""


@pytest.fixture(scope="module")
def hosts(api: AwsService) -> Hosts:
    made = Hosts(api)
    api.layers = [OtherAccount(), made.layer]
    return made


@pytest.fixture(scope="module")
def applied(estate: Project, hosts: Hosts) -> Iterator[Project]:
    estate.write(QUICK + (estate.directory / "__main__.py").read_text(encoding="utf-8").partition("annotations\n")[2])
    estate.up()
    assert hosts.done == []  # hosts wait for each other at their first boot: no gate waits for one
    yield estate
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(DESTROY, "1")
        estate.destroy()


@pytest.fixture(autouse=True)
def _forget(hosts: Hosts) -> None:
    hosts.done.clear()
    hosts.pointer_at_change.clear()


def edit_files(project: Project, tier: Tier, content: str | None) -> None:
    """Give the hosts of a tier one file more, or not any more."""
    path = project.directory / "cloud-init" / tier / "files" / "etc" / "edited"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True) if content is None else path.write_text(content, encoding="utf-8")


def refused(project: Project) -> str:
    with pytest.raises(HaError) as failed:
        project.up()
    return str(failed.value)


def test_the_estate_is_what_the_guide_draws(applied: Project, api: AwsService) -> None:
    snapshot = read_snapshot(api.snapshot_clients())
    running = {one.name: one for one in snapshot.instances if one.state is InstanceState.RUNNING}
    assert set(running) == {"lb1", "app1", "app2", "db1", "db2", "monitor1", "cache1"}
    outputs = applied.engine.outputs("dev")
    assert {name: str(one.private_ip) for name, one in running.items()} == outputs["hosts"]
    assert all(one.metadata.tokens_required and one.role_name for one in running.values())
    public = {name for name, one in running.items() if one.public_ip}
    assert public == {"lb1"}
    assert str(running["lb1"].public_ip) == outputs["public_address"]


def test_right_after_there_is_nothing_to_do(applied: Project) -> None:
    changes = applied.preview()
    assert not changes, changes.resources
    assert changes.same > 100


def test_an_edit_shows_exactly_what_it_changes(applied: Project, hosts: Hosts) -> None:
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
        ("aws:s3/bucketObjectv2:BucketObjectv2", "cache1-in-service"): {"content"},
        ("aws:s3/bucketObjectv2:BucketObjectv2", "settings"): {"content"},
        ("aws:s3/bucketObjectv2:BucketObjectv2", "settings-in-force"): {"content"},
        ("aws:budgets/budget:Budget", "alerts-budget"): {"limitAmount"},
    }
    assert hosts.done == []  # a preview's hooks call no host


def test_a_change_that_a_host_refuses_leaves_the_pointer_and_what_both_versions_need(
    applied: Project, hosts: Hosts
) -> None:
    before, instances = hosts.pointer(Tier.DB), hosts.ids()
    edit_files(applied, Tier.DB, "the second version\n")
    hosts["db1"].takes = {ANY: "refuses"}
    message = refused(applied)
    assert "db1 does not take bundle" in message
    assert "step 40-app.sh of the set-up failed" in message
    changed = [one.rpartition(" ")[0] for one in hosts.done if " change " in one or " confirm " in one]
    assert changed == ["db2 change", "db2 confirm", "db1 change", "db2 change", "db2 confirm"]
    assert hosts.pointer(Tier.DB) == before
    edit_files(applied, Tier.DB, None)
    applied.up()
    assert len(hosts.keys("bundles/db/")) == 2
    assert hosts.pointer(Tier.DB) == before
    assert not applied.preview()
    assert hosts.ids() == instances


def test_a_change_reaches_the_hosts_one_after_the_other_and_then_the_pointer(applied: Project, hosts: Hosts) -> None:
    before = hosts.pointer(Tier.DB)
    hosts["db1"].takes = {}
    edit_files(applied, Tier.DB, "the third version\n")
    applied.up()
    after = hosts.pointer(Tier.DB)
    letter = after.bundle[0]
    assert after != before
    assert hosts.pointer_at_change == [before, before]
    assert [one for one in hosts.done if " check " not in one] == [
        *[f"{host} {act} {letter}" for host in ("db2", "db1") for act in ("change", "confirm")],
        "db1 close",
        "db2 close",
    ]
    assert "db2: serves" in applied.said()
    assert not applied.preview()


def test_hooks_with_the_credentials_of_another_account_change_nothing(applied: Project, hosts: Hosts) -> None:
    program = (applied.directory / "__main__.py").read_text(encoding="utf-8")
    applied.write(f"import os\nos.environ['AWS_ACCESS_KEY_ID'] = {OTHER_ACCESS_KEY!r}\n{program}")
    edit_files(applied, Tier.CACHE, "a version of another account\n")
    try:
        assert f"the credentials are of the account {OTHER_ACCOUNT}" in refused(applied)
    finally:
        applied.write(program)
        edit_files(applied, Tier.CACHE, None)
    assert hosts.done == []


def test_a_replacement_is_refused_while_the_pair_is_not_redundant(applied: Project, hosts: Hosts) -> None:
    template, old = applied.directory / "cloud-init" / "user-data.yaml.j2", hosts.ids()
    template.write_text(
        template.read_text(encoding="utf-8") + "{% if host.name == 'db1' %}# edited{% endif %}\n", encoding="utf-8"
    )
    planned = {
        one.name: one.op for one in applied.preview().resources if one.op == "replace" and one.name.startswith("db1")
    }
    assert planned == {"db1": "replace", "db1-data": "replace", "db1-in-service": "replace"}
    hosts["db2"].healthy = False
    message = refused(applied)
    assert "db1 is not taken out of service, because the estate is not redundant" in message
    assert "HA_GATES=off" in message
    assert hosts.ids() == old
    assert hosts.is_whole("db1")
    assert hosts.keys("in-service/db1/") == {f"in-service/db1/{old['db1']}"}


def test_a_replaced_host_hands_over_before_anything_of_it_is_deleted_and_keeps_its_volume(
    applied: Project, hosts: Hosts, api: AwsService
) -> None:
    before = read_snapshot(api.snapshot_clients())
    old = next(one for one in before.instances if one.name == "db1")
    volume = next(one for one in before.volumes if one.attachment and one.attachment.instance_id == old.id and one.tags)
    hosts["db2"].healthy = True
    applied.up()
    assert [one for one in hosts.done if "hands over" in one] == ["db1 hands over"]
    assert hosts.at_hand_over == {"db1": True}
    replaced = applied.done("delete-replaced", "create-replacement")
    assert [one for one in replaced if one[1].startswith("db1")] == [
        ("delete-replaced", "db1-in-service"),
        ("delete-replaced", "db1-data"),
        ("delete-replaced", "db1"),
        ("create-replacement", "db1"),
        ("create-replacement", "db1-data"),
        ("create-replacement", "db1-in-service"),
    ]
    after = read_snapshot(api.snapshot_clients())
    new = next(one for one in after.instances if one.name == "db1" and one.state is InstanceState.RUNNING)
    assert new.id != old.id
    assert new.private_ip == old.private_ip
    kept = next(one for one in after.volumes if one.id == volume.id)
    assert kept.attachment is not None
    assert kept.attachment.instance_id == new.id
    assert not applied.preview()


def test_a_third_application_host_replaces_no_host(applied: Project, hosts: Hosts) -> None:
    two = hosts.ids()
    applied.change(lambda settings: settings["application"].update(count=3))
    applied.up()
    three = hosts.ids()
    assert three == two | {"app3": three["app3"]}
    assert "lb1" in {one.split()[0] for one in hosts.done if " change " in one}


def test_nor_does_the_way_back_to_two(applied: Project, hosts: Hosts) -> None:
    three = hosts.ids()
    applied.change(lambda settings: settings["application"].update(count=2))
    applied.up()
    assert hosts.ids() == {name: instance for name, instance in three.items() if name != "app3"}
    changed = [one.split()[0] for one in hosts.done if " change " in one]
    assert "app3" not in changed
    assert "lb1" in changed
    assert hosts.done.index("app3 hands over") > max(i for i, one in enumerate(hosts.done) if one.startswith("lb1"))


def test_a_destroy_without_its_word_is_refused_before_any_host(applied: Project, hosts: Hosts) -> None:
    running = hosts.ids()
    with pytest.raises(HaError, match="HA_DESTROY=1 pulumi destroy --run-program"):
        applied.destroy()
    assert hosts.ids() == running
    assert hosts.keys("in-service") >= {"in-service", *(f"in-service/{name}/{id}" for name, id in running.items())}
    assert BUCKET in {one["Name"] for one in hosts.api.client("s3").list_buckets()["Buckets"]}
    assert hosts.done == []

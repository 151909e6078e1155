"""Snapshots of the data volumes of a stack's hosts, in EC2 as the lab has it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops import snapshots
from ops.estate import Estate, Instance
from spec.errors import EXIT_USAGE, HaError
from spec.tags import tags
from spec.tiers import Tier
from tests.unit.conftest import REGION, Bucket

WHY = "before a restore in place to 2026-12-01 14:05:00 UTC"


def listed(marks: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in marks.items()]


class Hosts:
    """Database hosts with a root volume and a data volume each, of the stacks that a test asks for."""

    def __init__(self, bucket: Bucket) -> None:
        self.api = bucket.api
        self.ec2: Any = bucket.api.client("ec2")
        self.image = bucket.api.register_image(name="debian", owner="136693071363", architecture="x86_64")

    def estate(self, stack: str = "dev") -> Estate:
        # The API's own clients: to make one takes long.
        session: Any = SimpleNamespace(client=lambda service, **_: self.api.client(service))
        return Estate(stack=stack, region=REGION, target="lab", session=session)

    def launch(self, host: str, stack: str = "dev", *, volume: bool = True) -> Instance:
        marks = listed(tags(stack, host, tier=Tier.DB, host=host))
        made = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}}],
            TagSpecifications=[{"ResourceType": "instance", "Tags": marks}],
        )["Instances"][0]
        if volume:
            disk = self.ec2.create_volume(
                Size=20, VolumeType="gp3", AvailabilityZone=made["Placement"]["AvailabilityZone"]
            )
            self.ec2.attach_volume(VolumeId=disk["VolumeId"], InstanceId=made["InstanceId"], Device="/dev/sdf")
        return next(one for one in self.estate(stack).instances() if one.instance_id == made["InstanceId"])


@pytest.fixture
def hosts(bucket: Bucket) -> Hosts:
    return Hosts(bucket)


def test_the_data_volumes_are_taken_with_tags_that_say_whose_and_why(hosts: Hosts) -> None:
    pair = [hosts.launch("db1"), hosts.launch("db2")]
    said: list[str] = []
    taken = snapshots.take(hosts.estate(), pair, WHY, said.append)
    assert [(one.host, one.size_gib, one.state, one.why) for one in taken] == [
        ("db1", 20, "pending", WHY),
        ("db2", 20, "pending", WHY),
    ]
    assert said == [f"{one.host}: {one.id} keeps what is on {one.volume}" for one in taken]
    found = hosts.ec2.describe_snapshots(SnapshotIds=[taken[0].id])["Snapshots"][0]
    assert {one["Key"]: one["Value"] for one in found["Tags"]} == {
        "Name": "dev-db1-data",
        "ha:stack": "dev",
        "ha:tier": "db",
        "ha:host": "db1",
        "ha:why": WHY,
    }
    attached = hosts.ec2.describe_volumes(VolumeIds=[taken[0].volume])["Volumes"][0]["Attachments"][0]
    assert (attached["InstanceId"], attached["Device"]) == (pair[0].instance_id, "/dev/sdf")


def test_a_reason_that_is_too_long_is_cut(hosts: Hosts) -> None:
    taken = snapshots.take(hosts.estate(), [hosts.launch("db1")], "w" * 300, lambda _: None)
    assert taken[0].why == "w" * 255


def test_nothing_is_taken_when_a_host_has_no_data_volume(hosts: Hosts) -> None:
    pair = [hosts.launch("db1"), hosts.launch("db2", volume=False)]
    with pytest.raises(HaError, match="no data volume") as refused:
        snapshots.take(hosts.estate(), pair, WHY, lambda _: None)
    assert refused.value.where.startswith("db2 (i-")
    assert snapshots.of_stack(hosts.estate()) == []


def test_a_refusal_names_what_was_taken_before_it(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = [hosts.launch("db1"), hosts.launch("db2")]
    found = snapshots._data_volumes(hosts.estate(), pair)
    monkeypatch.setattr(snapshots, "_data_volumes", lambda *_: [found[0], (pair[1], "vol-0")])
    with pytest.raises(HaError, match=r"no snapshot of vol-0 could be taken: .*InvalidVolume\.NotFound") as refused:
        snapshots.take(hosts.estate(), pair, WHY, lambda _: None)
    kept = snapshots.of_stack(hosts.estate())
    assert refused.value.where == "db2"
    assert refused.value.fix.endswith(f"is kept: {kept[0].id}")


def test_they_are_listed_newest_first_and_another_stacks_are_not(hosts: Hosts) -> None:
    db1 = hosts.launch("db1")
    older, newer = (snapshots.take(hosts.estate(), [db1], why, lambda _: None)[0] for why in ("older", "newer"))
    theirs = snapshots.take(hosts.estate("prod"), [hosts.launch("db1", "prod")], WHY, lambda _: None)[0]
    hosts.api.report_snapshot(older.id, "completed", 100)
    hosts.api.report_snapshot(newer.id, "pending", 40)
    found = snapshots.of_stack(hosts.estate())
    assert [(one.why, one.state, one.progress) for one in found] == [
        ("newer", "pending", "40%"),
        ("older", "completed", "100%"),
    ]
    assert [one.id for one in snapshots.of_stack(hosts.estate("prod"))] == [theirs.id]


def test_the_named_ones_are_dropped_and_only_if_all_are_the_stacks(hosts: Hosts) -> None:
    pair = [hosts.launch("db1"), hosts.launch("db2")]
    taken = snapshots.take(hosts.estate(), pair, WHY, lambda _: None)
    theirs = snapshots.take(hosts.estate("prod"), [hosts.launch("db1", "prod")], WHY, lambda _: None)[0]
    with pytest.raises(HaError, match=f"no snapshot of this stack: {theirs.id}; nothing was dropped") as refused:
        snapshots.drop(hosts.estate(), [taken[0].id, theirs.id], lambda _: None)
    assert refused.value.exit_code == EXIT_USAGE
    assert len(snapshots.of_stack(hosts.estate())) == 2
    said: list[str] = []
    assert snapshots.drop(hosts.estate(), [taken[0].id, taken[0].id], said.append) == [taken[0].id]
    assert said == [f"dropping {snapshots.in_words(taken[0])}"]
    assert f"{taken[0].id}: db1, 20 GiB, " in said[0]
    assert [one.id for one in snapshots.of_stack(hosts.estate())] == [taken[1].id]


def test_a_refusal_of_ec2_names_the_rights_that_it_takes(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = snapshots.take(hosts.estate(), [hosts.launch("db1")], WHY, lambda _: None)

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DeleteSnapshot")

    monkeypatch.setattr(hosts.ec2, "delete_snapshot", refuse)
    with pytest.raises(HaError, match=rf"{taken[0].id} could not be dropped: .*UnauthorizedOperation") as refused:
        snapshots.drop(hosts.estate(), [taken[0].id], lambda _: None)
    assert "operator-restore.json" in refused.value.fix

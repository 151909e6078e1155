"""Gates that are passed by an override leave a record and send an alert."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.overrides import Overrides
from spec.errors import HaError
from tests.unit.conftest import Bucket

TOPIC = "arn:aws:sns:us-east-1:123456789012:ha-dev-alerts"


class Sns:
    """A topic that is made up."""

    def __init__(self, fails: bool = False) -> None:
        self.published: list[dict[str, str]] = []
        self._fails = fails

    def publish(self, **message: str) -> None:
        if self._fails:
            raise ClientError({"Error": {"Code": "NotFound", "Message": "no such topic"}}, "Publish")
        self.published.append(message)


def _overrides(bucket: Bucket, sns: Sns, said: list[str], name: str = "") -> Overrides:
    return Overrides(s3=bucket.s3, sns=sns, bucket=name or bucket.name, topic_arn=TOPIC, say=said.append)


def _records(bucket: Bucket) -> list[dict[str, Any]]:
    found = bucket.s3.list_objects_v2(Bucket=bucket.name, Prefix="operations/overrides/").get("Contents", ())
    return [json.loads(bucket.get(one["Key"])) for one in found]


def test_each_gate_is_recorded_and_the_first_one_alerts(bucket: Bucket) -> None:
    sns, said = Sns(), list[str]()
    overrides = _overrides(bucket, sns, said)
    overrides.passed("db1 does not hand over")
    overrides.passed("db1 is not waited for")
    records = _records(bucket)
    assert {one["what"] for one in records} == {"db1 does not hand over", "db1 is not waited for"}
    assert all("@" in one["by"] and one["override"] == "HA_GATES=off" for one in records)
    assert [one["TopicArn"] for one in sns.published] == [TOPIC]
    assert sns.published[0]["Message"].startswith("db1 does not hand over: HA_GATES=off, by ")
    assert said == ["db1 does not hand over: HA_GATES=off", "db1 is not waited for: HA_GATES=off"]


def test_a_topic_that_cannot_be_reached_holds_up_nobody_and_is_said(bucket: Bucket) -> None:
    said = list[str]()
    _overrides(bucket, Sns(fails=True), said).passed("db1 does not hand over")
    assert len(_records(bucket)) == 1
    assert "no alert could be sent" in said[-1]


def test_what_cannot_be_recorded_is_not_passed(bucket: Bucket) -> None:
    sns = Sns()
    with pytest.raises(HaError, match="does not exist"):
        _overrides(bucket, sns, [], "ha-of-nobody").passed("db1 does not hand over")
    assert sns.published == []

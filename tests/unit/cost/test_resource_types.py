"""What is paid for one resource, from its inputs alone: tables of inputs and charges."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cost.resource_types import FREE, PAID, UNKNOWN, Charge, Counts, Unpriceable
from cost.resources import Resource
from cost.usage import Usage

COUNTS = Counts(instances=7, nat_gateways=1)
INSTANCE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
ROOT = {"volumeType": "gp3", "volumeSize": 8.0}
STANDARD = {"cpuCredits": "standard"}
LARGE = {"instanceType": "m6g.large", "rootBlockDevice": ROOT}


def charges(
    type_: str, inputs: dict[str, Any], assumed: Usage, name: str = "thing", counts: Counts = COUNTS
) -> list[Charge]:
    return PAID[type_](Resource(type=type_, name=name, component="", inputs=inputs), counts, assumed)


Paid = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("type_", "inputs", "expected"),
    [
        (VOLUME, {"type": "gp3", "size": 20.0}, [("ebs.gp3.gb", "20")]),
        # 3000 IOPS and 125 MiB/s are included, and one more of each is one more.
        (VOLUME, {"type": "gp3", "size": 20, "iops": 3000, "throughput": 125}, [("ebs.gp3.gb", "20")]),
        (
            VOLUME,
            {"type": "gp3", "size": 20, "iops": 3001, "throughput": 250},
            [("ebs.gp3.gb", "20"), ("ebs.gp3.iops", "1"), ("ebs.gp3.throughput", "125")],
        ),
        (VOLUME, {"type": "gp2", "size": 100}, [("ebs.gp2.gb", "100")]),
        (
            INSTANCE,
            {"instanceType": "t3.micro", "rootBlockDevice": ROOT, "creditSpecification": STANDARD},
            [("ec2.t3.micro.hour", "730"), ("ebs.gp3.gb", "8")],
        ),
        # Not burstable: there are no credits to be billed.
        (
            INSTANCE,
            {"instanceType": "m6g.large", "rootBlockDevice": ROOT},
            [("ec2.m6g.large.hour", "730"), ("ebs.gp3.gb", "8")],
        ),
        (
            INSTANCE,
            {
                "instanceType": "m6g.large",
                "rootBlockDevice": ROOT,
                "associatePublicIpAddress": True,
                "ebsBlockDevices": [{"volumeType": "gp3", "volumeSize": 5}],
            },
            [("ec2.m6g.large.hour", "730"), ("ebs.gp3.gb", "8"), ("ebs.gp3.gb", "5"), ("public-ipv4.hour", "730")],
        ),
        ("aws:ec2/eip:Eip", {"domain": "vpc"}, [("public-ipv4.hour", "730")]),
        ("aws:ec2/natGateway:NatGateway", {}, [("nat-gateway.hour", "730")]),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"period": 60.0}, [("cloudwatch.alarm", "1")]),
        ("aws:sns/topicSubscription:TopicSubscription", {"protocol": "email"}, [("sns.email", "0.01")]),
        ("aws:sns/topic:Topic", {}, [("sns.requests", "0.001")]),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Gateway"}, []),
        ("aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": False}, []),
        ("aws:budgets/budget:Budget", {"budgetType": "COST"}, []),
        (ENCRYPTION, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]}, []),
    ],
)  # fmt: skip
def test_what_is_paid_for(type_: str, inputs: dict[str, Any], expected: Paid, assumed: Usage) -> None:
    assert [(c.key, c.quantity) for c in charges(type_, inputs, assumed)] == [(k, Decimal(q)) for k, q in expected]


@pytest.mark.parametrize(
    ("type_", "inputs", "said"),
    [
        (VOLUME, {"type": "gp3"}, "size is not set"),
        (VOLUME, {"size": 20}, "type is not set"),
        (VOLUME, {"type": "gp3", "size": UNKNOWN}, "size is unknown until the update"),
        (VOLUME, {"type": "gp3", "size": "NaN"}, "size is 'NaN'"),
        (VOLUME, {"type": "gp3", "size": -1}, "size is -1"),
        (VOLUME, {"type": "gp3", "size": True}, "size is True"),
        (VOLUME, {"type": "gp2", "size": 1, "iops": 4000}, "iops of a gp2 volume"),
        (INSTANCE, {"instanceType": UNKNOWN, "rootBlockDevice": ROOT}, "instanceType is unknown"),
        (INSTANCE, {"instanceType": "t3.micro", "rootBlockDevice": ROOT}, "CPU credits are not `standard`"),
        (
            INSTANCE,
            {"instanceType": "t3.micro", "rootBlockDevice": ROOT, "creditSpecification": {"cpuCredits": "unlimited"}},
            "CPU credits are not `standard`",
        ),
        (
            INSTANCE,
            {"instanceType": "t3.micro", "rootBlockDevice": ROOT, "creditSpecification": UNKNOWN},
            "CPU credits are not `standard`",
        ),
        (INSTANCE, {"instanceType": "m6g.large"}, "no rootBlockDevice"),
        (INSTANCE, {**LARGE, "monitoring": True}, "detailed monitoring"),
        (INSTANCE, {**LARGE, "tenancy": "dedicated"}, "tenancy dedicated"),
        (INSTANCE, {**LARGE, "instanceMarketOptions": {"marketType": "spot"}}, "with instanceMarketOptions"),
        (INSTANCE, {**LARGE, "launchTemplate": {"id": "lt-1"}}, "with launchTemplate"),
        (INSTANCE, {**LARGE, "associatePublicIpAddress": UNKNOWN}, "unknown whether it is paid for"),
        (INSTANCE, {**LARGE, "ebsBlockDevices": UNKNOWN}, "ebsBlockDevices is unknown until the update"),
        ("aws:ec2/natGateway:NatGateway", {"availabilityMode": "regional"}, "availability mode regional"),
        (ENCRYPTION, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]}, "aws:kms"),
        (ENCRYPTION, {"rules": UNKNOWN}, "rules is unknown"),
        ("aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True}, "gives every instance a public address"),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", {"vpcEndpointType": "Interface"}, "type Interface"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"period": 10}, "high-resolution"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"metricQueries": [{}]}, "several metrics"),
        ("aws:sns/topicSubscription:TopicSubscription", {"protocol": "sms"}, "by sms"),
        ("aws:s3/bucket:Bucket", {}, r"add buckets\.thing to cost/usage\.yaml"),
    ],
)
def test_an_unknown_cost_is_an_error_that_says_why(
    type_: str, inputs: dict[str, Any], said: str, assumed: Usage
) -> None:
    with pytest.raises(Unpriceable, match=said):
        charges(type_, inputs, assumed)


def test_data_flows_are_paid_at_the_vpc(assumed: Usage) -> None:
    found = {c.key: c for c in charges("aws:ec2/vpc:Vpc", {}, assumed, counts=Counts(instances=7, nat_gateways=2))}
    assert found["transfer.cross-zone.gb"].quantity == 2 * assumed.cross_zone_gb.quantity
    assert found["nat-gateway.gb"].quantity == 7 * assumed.nat_gb_per_host.quantity
    assert all(c.assumed for c in found.values())
    without = charges("aws:ec2/vpc:Vpc", {}, assumed, counts=Counts(instances=7, nat_gateways=0))
    assert "nat-gateway.gb" not in {c.key for c in without}


def test_a_replication_is_paid_by_what_it_copies_and_by_its_metrics(assumed: Usage) -> None:
    type_, to = "aws:s3/bucketReplicationConfig:BucketReplicationConfig", {"bucket": "arn:aws:s3:::copy"}
    plain = charges(type_, {"rules": [{"destination": to}]}, assumed)
    assert {c.key for c in plain} == {"transfer.inter-region.gb"}
    measured = charges(type_, {"rules": [{"destination": {**to, "metrics": {"status": "Enabled"}}}]}, assumed)
    assert [(c.key, c.quantity) for c in measured if c not in plain] == [("cloudwatch.metric", Decimal(4))]


def test_a_bucket_has_the_quantities_of_its_name(assumed: Usage) -> None:
    found = charges("aws:s3/bucket:Bucket", {}, assumed, name="artifacts-bucket")
    assert {c.key for c in found} == {"s3.standard.gb", "s3.put", "s3.get"}


def test_every_free_type_has_a_reason_and_no_type_is_both_but_for_one_that_may_be_free() -> None:
    assert all(len(reason) > 5 for reason in FREE.values())
    both = set(FREE) & set(PAID)
    assert both == {
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:budgets/budget:Budget",
        ENCRYPTION,
    }

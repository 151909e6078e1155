"""Every resource type against the API: created, read back unchanged, updated, replaced where it must be, deleted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.property_value import PropertyValue

from lab.aws.service import AwsService
from lab.provider.provider import LabAwsProvider
from lab.provider.resource_types import RESOURCE_TYPES
from lab.provider.values import plain_map, property_value
from lab.provider.wire import ASSET_KEY
from tests.engine.conftest import IMAGE_NAME, IMAGE_OWNER

pytestmark = pytest.mark.engine

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
READ = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
WRITE = READ.replace("GetObject", "PutObject")
ALL = {"ha:stack": "dev", "Name": "dev-thing"}
REPLICATION = {
    "id": "all",
    "status": "Enabled",
    "priority": 1,
    "filter": {"prefix": ""},
    "deleteMarkerReplication": {"status": "Enabled"},
    "destination": {"bucket": "arn:aws:s3:::elsewhere", "metrics": {"status": "Enabled"}},
}


class Provider:
    """The provider as the engine asks it, one question at a time."""

    def __init__(self) -> None:
        self._provider = LabAwsProvider()
        config = {"region": property_value("us-east-1")}
        asyncio.run(self._provider.configure(sdk.ConfigureRequest({}, config, True, False)))

    def check(self, token: str, inputs: dict[str, Any]) -> tuple[dict[str, PropertyValue], list[str]]:
        request = sdk.CheckRequest(urn(token), {}, values(inputs), b"seed")
        answer = asyncio.run(self._provider.check(request))
        return answer.inputs or {}, [f"{one.property}: {one.reason}" for one in answer.failures or ()]

    def create(self, token: str, inputs: dict[str, Any]) -> Made:
        checked, failures = self.check(token, inputs)
        assert failures == []
        made = asyncio.run(self._provider.create(sdk.CreateRequest(urn(token), checked, 0, False)))
        assert made.resource_id
        return Made(self, token, made.resource_id, inputs, made.properties)

    def diff(self, made: Made, inputs: dict[str, Any]) -> sdk.DiffResponse:
        checked, failures = self.check(made.token, inputs)
        assert failures == []
        naming = RESOURCE_TYPES[made.token].naming
        if naming and naming.property not in inputs and naming.property in checked:
            checked[naming.property] = made.state[naming.property]
        request = sdk.DiffRequest(urn(made.token), made.id, made.state, checked, [])
        return asyncio.run(self._provider.diff(request))

    def update(self, made: Made, inputs: dict[str, Any]) -> None:
        checked, _ = self.check(made.token, inputs)
        request = sdk.UpdateRequest(urn(made.token), made.id, made.state, checked, 0, [], False)
        made.state = asyncio.run(self._provider.update(request)).properties
        made.inputs = inputs

    def read(self, made: Made) -> sdk.ReadResponse:
        request = sdk.ReadRequest(urn(made.token), made.id, made.state, values(made.inputs))
        return asyncio.run(self._provider.read(request))

    def delete(self, made: Made) -> None:
        request = sdk.DeleteRequest(urn(made.token), made.id, made.state, 0)
        asyncio.run(self._provider.delete(request))


@dataclass
class Made:
    """A resource that was made."""

    provider: Provider
    token: str
    id: str
    inputs: dict[str, Any]
    state: dict[str, PropertyValue]

    @property
    def plain(self) -> dict[str, Any]:
        return plain_map(self.state)


def urn(token: str) -> str:
    return f"urn:pulumi:dev::ha::ha:test:Parent${token}::thing"


def values(inputs: dict[str, Any]) -> dict[str, PropertyValue]:
    return {name: property_value(value) for name, value in inputs.items()}


@pytest.fixture(scope="module")
def provider(api: AwsService) -> Iterator[Provider]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", api.url)
        yield Provider()


@dataclass(frozen=True)
class Case:
    """Inputs to make a resource with; `@name` stands for a thing of the surroundings.

    `update`: inputs that change it in place; None takes one away. `replace`: inputs each of which must replace it.
    """

    inputs: dict[str, Any]
    update: dict[str, Any] = field(default_factory=dict)
    replace: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "aws:ec2/vpc:Vpc": Case(
        {"cidrBlock": "10.1.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True, "tags": ALL},
        {"enableDnsHostnames": False, "tags": {"Name": "other"}},
        {"cidrBlock": "10.2.0.0/16", "instanceTenancy": "dedicated"},
    ),
    "aws:ec2/subnet:Subnet": Case(
        {"vpcId": "@vpc", "cidrBlock": "10.20.7.0/24", "availabilityZone": "us-east-1a", "tags": ALL},
        {"mapPublicIpOnLaunch": True, "tags": {}},
        {"vpcId": "vpc-2", "cidrBlock": "10.20.8.0/24", "availabilityZone": "us-east-1b"},
    ),
    "aws:ec2/internetGateway:InternetGateway": Case({"vpcId": "@vpc2", "tags": ALL}, {"vpcId": "@vpc3"}),
    "aws:ec2/natGateway:NatGateway": Case(
        {"subnetId": "@subnet", "allocationId": "@eip", "privateIp": "10.20.0.250", "tags": ALL},
        {"tags": {"Name": "other"}},
        {"subnetId": "s", "allocationId": "e", "privateIp": "10.20.0.249", "connectivityType": "private"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Case(
        {
            "vpcId": "@vpc",
            "serviceName": "com.amazonaws.us-east-1.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": ["@table"],
            "tags": ALL,
        },
        {"routeTableIds": ["@table2"]},
        {"vpcId": "v", "serviceName": "com.amazonaws.us-east-1.dynamodb"},
    ),
    "aws:ec2/eip:Eip": Case({"domain": "vpc", "tags": ALL}, {"tags": {"Name": "other"}}, {"domain": "standard"}),
    "aws:ec2/eipAssociation:EipAssociation": Case(
        {"allocationId": "@eip2", "instanceId": "@instance"},
        {},
        {
            "allocationId": "e",
            "instanceId": "i",
            "networkInterfaceId": "eni",
            "privateIpAddress": "10.0.0.9",
            "publicIp": "203.0.113.9",
            "allowReassociation": True,
        },
    ),
    "aws:ec2/routeTable:RouteTable": Case({"vpcId": "@vpc", "tags": ALL}, {"tags": {}}, {"vpcId": "v"}),
    "aws:ec2/route:Route": Case(
        {"routeTableId": "@table", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "@igw"},
        {"gatewayId": None, "natGatewayId": "@nat"},
        {"routeTableId": "t", "destinationCidrBlock": "10.99.0.0/16"},
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Case(
        {"subnetId": "@subnet2", "routeTableId": "@table"}, {"routeTableId": "@table2"}, {"subnetId": "s"}
    ),
    "aws:ec2/securityGroup:SecurityGroup": Case(
        {"vpcId": "@vpc", "namePrefix": "dev-db-", "description": "database hosts", "tags": ALL},
        {"revokeRulesOnDelete": True, "tags": {"Name": "other"}},
        {"vpcId": "v", "namePrefix": "other-", "description": "other", "name": "other"},
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Case(
        {"vpcId": "@vpc", "tags": ALL}, {"tags": {"Name": "other"}}, {"vpcId": "v"}
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Case(
        {
            "securityGroupId": "@group",
            "ipProtocol": "tcp",
            "fromPort": 5432,
            "toPort": 5432,
            "referencedSecurityGroupId": "@group2",
            "description": "clients",
            "tags": ALL,
        },
        {"fromPort": 5433, "toPort": 5433, "referencedSecurityGroupId": "@group"},
        {"securityGroupId": "g"},
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Case(
        {"securityGroupId": "@group2", "ipProtocol": "-1", "cidrIpv4": "10.20.0.0/16", "tags": ALL},
        {"cidrIpv4": "10.20.0.0/17"},
        {"securityGroupId": "g"},
    ),
    "aws:ec2/instance:Instance": Case(
        {
            "ami": "@image",
            "instanceType": "t3.small",
            "subnetId": "@subnet",
            "privateIp": "10.20.0.77",
            "associatePublicIpAddress": False,
            "vpcSecurityGroupIds": ["@group"],
            "iamInstanceProfile": "@profile",
            "userDataBase64": base64.b64encode(b"#cloud-config\n").decode(),
            "userDataReplaceOnChange": True,
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 1,
                "instanceMetadataTags": "disabled",
            },
            "creditSpecification": {"cpuCredits": "standard"},
            "rootBlockDevice": {
                "volumeType": "gp3",
                "volumeSize": 12,
                "encrypted": True,
                "deleteOnTermination": True,
                "tags": {"Name": "dev-db1-root"},
            },
            "tags": ALL,
        },
        {
            "instanceType": "t3.medium",
            "vpcSecurityGroupIds": ["@group2"],
            "iamInstanceProfile": "@profile2",
            "sourceDestCheck": False,
            "secondaryPrivateIps": ["10.20.0.78"],
            "tags": {"Name": "other"},
        },
        {
            "ami": "@image2",
            "subnetId": "s",
            "privateIp": "10.20.0.79",
            "associatePublicIpAddress": True,
            "availabilityZone": "us-east-1b",
            "keyName": "mine",
            "ebsOptimized": True,
            "userDataBase64": base64.b64encode(b"#cloud-config\nother").decode(),
            "rootBlockDevice": {"encrypted": False},
        },
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Case(
        {
            "name": "ha-dev-restore",
            "description": "dev restore host",
            "updateDefaultVersion": True,
            "imageId": "ami-1",
            "instanceType": "t3.small",
            "iamInstanceProfile": {"name": "restore"},
            "userData": base64.b64encode(b"#cloud-config\n").decode(),
            "instanceInitiatedShutdownBehavior": "terminate",
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "creditSpecification": {"cpuCredits": "standard"},
            "networkInterfaces": [
                {
                    "deviceIndex": 0,
                    "subnetId": "subnet-1",
                    "privateIpAddress": "10.20.0.26",
                    "securityGroups": ["sg-1"],
                    "associatePublicIpAddress": "false",
                    "deleteOnTermination": "true",
                }
            ],
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/sdf",
                    "ebs": {"volumeType": "gp3", "volumeSize": 20, "encrypted": "true", "deleteOnTermination": "true"},
                }
            ],
            "tagSpecifications": [{"resourceType": "instance", "tags": {"ha:stack": "dev"}}],
            "tags": ALL,
        },
        {"instanceType": "t3.medium", "userData": base64.b64encode(b"#cloud-config\n# two\n").decode()},
        {"name": "another"},
    ),
    "aws:ebs/volume:Volume": Case(
        {"availabilityZone": "us-east-1a", "type": "gp3", "size": 20, "encrypted": True, "tags": ALL},
        {"size": 30},
        {"availabilityZone": "us-east-1b", "encrypted": False, "kmsKeyId": "k", "snapshotId": "snap-1"},
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": Case(
        {
            "deviceName": "/dev/sdf",
            "instanceId": "@instance",
            "volumeId": "@volume",
            "stopInstanceBeforeDetaching": True,
        },
        {"stopInstanceBeforeDetaching": False},
        {"deviceName": "/dev/sdg", "instanceId": "i", "volumeId": "v"},
    ),
    "aws:iam/role:Role": Case(
        {
            "namePrefix": "ha-dev-db-",
            "assumeRolePolicy": TRUST,
            "permissionsBoundary": "arn:aws:iam::123456789012:policy/ha-dev-boundary",
            "tags": ALL,
        },
        {
            "description": "of the database",
            "maxSessionDuration": 7200,
            "permissionsBoundary": "arn:aws:iam::123456789012:policy/other",
        },
        {"name": "n", "namePrefix": "other-", "path": "/ha/"},
    ),
    "aws:iam/rolePolicy:RolePolicy": Case(
        {"role": "@role", "name": "db", "policy": READ},
        {"policy": WRITE},
        {"role": "r", "name": "other", "namePrefix": "other-"},
    ),
    "aws:iam/instanceProfile:InstanceProfile": Case(
        {"namePrefix": "ha-dev-db-", "role": "@role", "tags": ALL},
        {"role": "@role2", "tags": {"Name": "other"}},
        {"name": "n", "namePrefix": "other-", "path": "/ha/"},
    ),
    "aws:s3/bucket:Bucket": Case(
        {"bucket": "ha-dev-test-bucket", "tags": ALL},
        {"forceDestroy": True, "tags": {"Name": "other"}},
        {"bucket": "other", "bucketPrefix": "other-", "objectLockEnabled": True},
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Case(
        {"bucket": "@bucket", "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        {"bucket": "other"},
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Case(
        {"bucket": "@bucket", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}, "bucketKeyEnabled": True}]},
        {"bucket": "other"},
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Case(
        {"bucket": "@bucket", "blockPublicAcls": True, "blockPublicPolicy": True},
        {"ignorePublicAcls": True, "restrictPublicBuckets": True},
        {"bucket": "other"},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Case(
        {"bucket": "@bucket", "policy": READ}, {"policy": WRITE}, {"bucket": "other"}
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Case(
        {
            "bucket": "@bucket",
            "rules": [
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrentVersionExpiration": {"noncurrentDays": 30},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                }
            ],
        },
        {"rules": [{"id": "all", "status": "Enabled", "filter": {"prefix": "a/"}, "expiration": {"days": 90}}]},
        {"bucket": "other"},
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Case(
        {"bucket": "@versioned", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 23}}},
        {"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 30}}},
        {"bucket": "other"},
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Case(
        {"bucket": "@versioned", "role": "arn:aws:iam::123456789012:role/copies", "rules": [REPLICATION]},
        {"rules": [{**REPLICATION, "deleteMarkerReplication": {"status": "Disabled"}}]},
        {"bucket": "other"},
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Case(
        {"bucket": "@bucket", "key": "releases/a b.tar.gz", "source": "@asset", "sourceHash": "1", "tags": ALL},
        {"source": "@asset2", "sourceHash": "2"},
        {"bucket": "other", "key": "other"},
    ),
    "aws:sns/topic:Topic": Case(
        {"name": "alerts", "tags": ALL},
        {"displayName": "Alerts", "tags": {"Name": "other"}},
        {"name": "other", "namePrefix": "other-"},
    ),
    "aws:sns/topicPolicy:TopicPolicy": Case({"arn": "@topic", "policy": READ}, {"policy": WRITE}, {"arn": "other"}),
    "aws:sns/topicSubscription:TopicSubscription": Case(
        {"topic": "@topic", "protocol": "email", "endpoint": "ops@example.com"},
        {},
        {"topic": "t", "protocol": "sms", "endpoint": "x"},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Case(
        {
            "namespace": "AWS/EC2",
            "metricName": "StatusCheckFailed",
            "dimensions": {"InstanceId": "i-1"},
            "statistic": "Maximum",
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "threshold": 1,
            "period": 60,
            "evaluationPeriods": 2,
            "treatMissingData": "breaching",
            "alarmDescription": "a host fails",
            "alarmActions": ["arn:aws:sns:us-east-1:123456789012:alerts"],
            "tags": ALL,
        },
        {"threshold": 2.5, "dimensions": {"InstanceId": "i-2"}, "tags": {"Name": "other"}},
        {"name": "other"},
    ),
    "aws:budgets/budget:Budget": Case(
        {
            "name": "ha-dev",
            "budgetType": "COST",
            "timeUnit": "MONTHLY",
            "limitAmount": "215.0",
            "limitUnit": "USD",
            "costFilters": [{"name": "TagKeyValue", "values": ["user:ha:stack$dev"]}],
            "costTypes": {"includeCredit": False, "includeRefund": False},
            "notifications": [
                {
                    "comparisonOperator": "GREATER_THAN",
                    "threshold": 80,
                    "thresholdType": "PERCENTAGE",
                    "notificationType": "ACTUAL",
                    "subscriberSnsTopicArns": ["@topic"],
                }
            ],
            "tags": ALL,
        },
        {"limitAmount": "230", "costTypes": {"includeCredit": True}, "tags": {"Name": "other"}},
        {"accountId": "1", "name": "other", "namePrefix": "other-"},
    ),
}


@pytest.fixture
def surroundings(api: AwsService, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Things that a resource needs around it; they are deleted at the end."""
    ec2, iam, s3, sns = (api.client(name) for name in ("ec2", "iam", "s3", "sns"))
    things: dict[str, Any] = {}
    things["image"] = api.register_image(name=IMAGE_NAME, owner=IMAGE_OWNER, architecture="x86_64")
    things["image2"] = api.register_image(name="another", owner=IMAGE_OWNER, architecture="x86_64")
    for name in ("vpc", "vpc2", "vpc3"):
        things[name] = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    for name, cidr in (("subnet", "10.20.0.0/24"), ("subnet2", "10.20.1.0/24")):
        subnet = ec2.create_subnet(VpcId=things["vpc"], CidrBlock=cidr, AvailabilityZone="us-east-1a")
        things[name] = subnet["Subnet"]["SubnetId"]
    for name in ("table", "table2"):
        things[name] = ec2.create_route_table(VpcId=things["vpc"])["RouteTable"]["RouteTableId"]
    for name in ("group", "group2"):
        group = ec2.create_security_group(VpcId=things["vpc"], GroupName=name, Description=name)
        things[name] = group["GroupId"]
        ec2.revoke_security_group_egress(
            GroupId=group["GroupId"], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        )
    for name in ("eip", "eip2", "eip3"):
        things[name] = ec2.allocate_address(Domain="vpc")["AllocationId"]
    things["igw"] = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=things["igw"], VpcId=things["vpc"])
    nat = ec2.create_nat_gateway(SubnetId=things["subnet2"], AllocationId=things["eip3"])
    things["nat"] = nat["NatGateway"]["NatGatewayId"]
    things["instance"] = ec2.run_instances(
        ImageId=things["image"], InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=things["subnet2"]
    )["Instances"][0]["InstanceId"]
    things["volume"] = ec2.create_volume(Size=8, AvailabilityZone="us-east-1a")["VolumeId"]
    for name in ("role", "role2"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        things[name] = name
    for name in ("profile", "profile2"):
        iam.create_instance_profile(InstanceProfileName=name)
        things[name] = name
    s3.create_bucket(Bucket="surroundings")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    things["versioned"] = "versioned"
    things["bucket"] = "surroundings"
    things["topic"] = sns.create_topic(Name="surroundings")["TopicArn"]
    for name in ("asset", "asset2"):
        path = tmp_path / name
        path.write_text(name, encoding="utf-8")
        things[name] = {ASSET_KEY: "asset", "hash": name, "path": str(path)}
    yield things
    for name in ("role", "role2"):
        iam.delete_role(RoleName=name)
    for name in ("profile", "profile2"):
        iam.delete_instance_profile(InstanceProfileName=name)
    for name in ("surroundings", "versioned"):
        s3.delete_bucket(Bucket=name)
    ec2.terminate_instances(InstanceIds=[things["instance"]])
    ec2.delete_nat_gateway(NatGatewayId=things["nat"])


def filled(value: Any, things: dict[str, Any]) -> Any:
    """Inputs with the surroundings put in, and without those that are None."""
    if isinstance(value, dict):
        return {key: filled(item, things) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [filled(item, things) for item in value]
    return things[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def test_every_type_has_a_case_and_every_replacing_input_an_expectation() -> None:
    assert set(CASES) == set(RESOURCE_TYPES)
    for token, resource_type in RESOURCE_TYPES.items():
        missing = resource_type.replaces - set(CASES[token].replace) - {"vpcEndpointType"}
        assert not missing, f"{token}: {missing}"


@pytest.mark.parametrize("token", RESOURCE_TYPES)
def test_a_resource_is_created_read_updated_and_deleted(
    token: str, provider: Provider, surroundings: dict[str, Any]
) -> None:
    case = CASES[token]
    inputs = filled(case.inputs, surroundings)
    made = provider.create(token, inputs)

    unchanged = provider.diff(made, inputs)
    assert (unchanged.changes, unchanged.diffs) == (False, [])
    again = provider.read(made)
    assert again.resource_id == made.id
    drift = provider.diff(Made(provider, token, made.id, inputs, again.properties), inputs)
    assert drift.diffs == []
    assert {name: plain_map(again.inputs).get(name) for name in inputs} == inputs
    missing = RESOURCE_TYPES[token].all_outputs - set(made.plain) - OPTIONAL_OUTPUTS
    assert not missing

    for name, value in filled(case.replace, surroundings).items():
        replaced = provider.diff(made, {**inputs, name: value})
        assert name in replaced.replaces
        assert any(path.startswith(name) and "REPLACE" in one.kind.name for path, one in replaced.detailed_diff.items())

    if case.update:
        changed = filled({**case.inputs, **case.update}, surroundings)
        found = provider.diff(made, changed)
        assert set(found.diffs) == set(case.update)
        assert found.replaces == []
        provider.update(made, changed)
        assert provider.diff(made, changed).diffs == []
        read_again = provider.read(made)
        assert {name: plain_map(read_again.inputs).get(name) for name in changed} == changed

    provider.delete(made)
    if token != "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":
        gone = provider.read(made)
        # A bucket always has a status of versioning, and keeps Object Lock; a topic always has a policy.
        if token not in (
            "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            "aws:s3/bucketVersioning:BucketVersioning",
            "aws:sns/topicPolicy:TopicPolicy",
        ):
            assert not gone.resource_id
    provider.delete(made)


# Outputs that have a value only when something else is there: an association, a public address, an endpoint's list.
OPTIONAL_OUTPUTS = {
    "associationId",
    "instance",
    "networkInterface",
    "privateIp",
    "publicIp",
    "publicDns",
    "cidrBlocks",
    "versionId",
}


def test_a_change_of_user_data_in_place_stops_and_starts(provider: Provider, surroundings: dict[str, Any]) -> None:
    token = "aws:ec2/instance:Instance"
    inputs = filled(CASES[token].inputs, surroundings) | {"userDataReplaceOnChange": False}
    made = provider.create(token, inputs)
    other = {**inputs, "userDataBase64": base64.b64encode(b"#cloud-config\nother").decode()}
    assert provider.diff(made, other).replaces == []
    provider.update(made, other)
    assert provider.read(made).inputs["userDataBase64"].value == other["userDataBase64"]
    provider.delete(made)


@pytest.mark.parametrize(
    ("token", "change", "expected"),
    [
        ("aws:ec2/instance:Instance", {"instanceType": "t4g.small"}, "instanceType: t4g.small is arm64, but the image"),
        ("aws:ec2/instance:Instance", {"instanceType": "t3.tiny"}, "instanceType: the instance type t3.tiny does not"),
        (
            "aws:ec2/instance:Instance",
            {"userDataBase64": base64.b64encode(bytes(16385)).decode()},
            "userDataBase64: user data is limited to 16384 bytes, these are 16385",
        ),
        ("aws:ec2/instance:Instance", {"userDataBase64": "not base64!"}, "must be base64-encoded"),
        ("aws:ec2/instance:Instance", {"userData": "both"}, "userData: conflicts with userDataBase64"),
        ("aws:ec2/instance:Instance", {"ami": "ami-00000000"}, "ami: the image ami-00000000 does not exist"),
        ("aws:ec2/vpc:Vpc", {"cidrBlok": "x"}, "cidrBlok: the lab's provider does not support the property cidrBlok"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": None}, "cidrBlock: cidrBlock is required"),
        ("aws:ec2/vpc:Vpc", {"region": "eu-central-1"}, "region: a lab has one region"),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"cidrIpv4": "10.0.0.0/8"},
            "exactly one of cidrIpv4, prefixListId, referencedSecurityGroupId must be given, not 2",
        ),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"fromPort": None},
            "fromPort: tcp needs fromPort and toPort",
        ),
        (
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            {"rules": [{"id": "x", "status": "Enabled", "colour": "red"}]},
            "does not support colour in a lifecycle rule",
        ),
    ],
)
def test_what_aws_would_refuse_is_refused_before_anything_is_made(
    provider: Provider, surroundings: dict[str, Any], token: str, change: dict[str, Any], expected: str
) -> None:
    inputs = filled({**CASES[token].inputs, **change}, surroundings)
    failures = provider.check(token, inputs)[1]
    assert any(expected in failure for failure in failures), failures


def test_a_volume_cannot_shrink(provider: Provider, surroundings: dict[str, Any]) -> None:
    token = "aws:ebs/volume:Volume"
    made = provider.create(token, CASES[token].inputs)
    with pytest.raises(ValueError, match="cannot be smaller than existing size 20"):
        provider.update(made, {**CASES[token].inputs, "size": 10})
    provider.delete(made)


def test_names_are_made_as_the_real_provider_makes_them(provider: Provider, surroundings: dict[str, Any]) -> None:
    checked, _ = provider.check("aws:sns/topic:Topic", {})
    name = str(checked["name"].value)
    assert name.startswith("thing-")
    assert len(name) == len("thing-") + 7
    assert provider.check("aws:sns/topic:Topic", {})[0]["name"] == checked["name"]
    made = provider.create("aws:iam/role:Role", {"namePrefix": "ha-dev-", "assumeRolePolicy": TRUST})
    assert made.plain["name"].startswith("ha-dev-")
    assert made.id == made.plain["name"]
    provider.delete(made)


def test_a_name_of_ones_own_makes_the_old_one_go_first(provider: Provider, surroundings: dict[str, Any]) -> None:
    token = "aws:iam/role:Role"
    named = provider.create(token, {"name": "fixed", "assumeRolePolicy": TRUST})
    changed = {"name": "fixed", "path": "/ha/", "assumeRolePolicy": TRUST}
    assert provider.diff(named, changed).delete_before_replace
    prefixed = provider.create(token, {"namePrefix": "ha-", "assumeRolePolicy": TRUST})
    free = {"namePrefix": "ha-", "path": "/ha/", "assumeRolePolicy": TRUST}
    assert not provider.diff(prefixed, free).delete_before_replace
    for made in (named, prefixed):
        provider.delete(made)


def test_at_preview_what_is_not_known_stays_unknown(provider: Provider, surroundings: dict[str, Any]) -> None:
    checked, _ = provider.check("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"})
    request = sdk.CreateRequest(urn("aws:ec2/vpc:Vpc"), checked, 0, preview=True)
    planned = asyncio.run(provider._provider.create(request)).properties
    known = plain_map(planned)
    assert known["cidrBlock"] == "10.0.0.0/16"
    assert repr(known["arn"]) == "<known after the update>"
    assert repr(known["mainRouteTableId"]) == "<known after the update>"

"""What the lab changes in moto, tested through the API: another version of moto may fail here."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.moto_internals import PUBLIC_RANGE
from lab.aws.service import AwsService
from lab.aws.snapshot import read_snapshot, read_user_data
from tests.unit.lab.aws.conftest import IMAGE_NAME, IMAGE_OWNER, Network


def interfaces(network: Network) -> set[str]:
    found = network.ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [network.vpc_id]}])
    return {one["PrivateIpAddress"] for one in found["NetworkInterfaces"]}


def test_elastic_ips_come_from_the_documentation_range_and_differ(network: Network) -> None:
    addresses = [network.ec2.allocate_address(Domain="vpc") for _ in range(3)]
    public = {IPv4Address(one["PublicIp"]) for one in addresses}
    assert len(public) == 3
    assert all(address in PUBLIC_RANGE for address in public)
    for one in addresses:
        network.ec2.release_address(AllocationId=one["AllocationId"])


def test_an_image_is_found_by_its_exact_name_and_owner_alone(network: Network) -> None:
    def found(name: str, owner: str) -> list[str]:
        images = network.ec2.describe_images(Owners=[owner], Filters=[{"Name": "name", "Values": [name]}])
        return [one["ImageId"] for one in images["Images"]]

    assert found(IMAGE_NAME, IMAGE_OWNER) == [network.image_id]
    assert found(IMAGE_NAME, "123456789012") == []
    assert found("debian-13-amd64-20200101-1", IMAGE_OWNER) == []


def test_registering_an_image_twice_gives_the_same_one(api: AwsService, network: Network) -> None:
    again = api.register_image(name=IMAGE_NAME, owner=IMAGE_OWNER, architecture="x86_64")
    assert again == network.image_id


def test_a_terminated_instance_frees_its_planned_address_and_its_elastic_ip(network: Network) -> None:
    first = network.launch("10.20.0.40")
    address = network.ec2.allocate_address(Domain="vpc")
    network.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=first["InstanceId"])
    network.ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    assert "10.20.0.40" not in interfaces(network)
    left = network.ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]
    assert not left.get("AssociationId")
    assert not left.get("InstanceId")
    second = network.launch("10.20.0.40")
    assert second["PrivateIpAddress"] == "10.20.0.40"
    network.ec2.terminate_instances(InstanceIds=[second["InstanceId"]])


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.20.0.41", "InvalidIPAddress.InUse"),
        ("10.20.0.3", "InvalidParameterValue"),
        ("10.20.0.255", "InvalidParameterValue"),
        ("10.99.0.10", "InvalidParameterValue"),
    ],
)
def test_an_address_that_is_not_available_is_refused_as_in_ec2(network: Network, address: str, code: str) -> None:
    holder = network.launch("10.20.0.41")
    try:
        with pytest.raises(ClientError) as refused:
            network.launch(address)
        assert refused.value.response["Error"]["Code"] == code
    finally:
        network.ec2.terminate_instances(InstanceIds=[holder["InstanceId"]])


def test_an_unknown_instance_type_and_an_unknown_image_are_refused(network: Network) -> None:
    with pytest.raises(ClientError, match="InvalidInstanceType"):
        network.ec2.run_instances(
            ImageId=network.image_id,
            InstanceType="t3.tiny",
            MinCount=1,
            MaxCount=1,
            SubnetId=network.subnet_id,
        )
    with pytest.raises(ClientError, match="InvalidAMIID"):
        network.ec2.run_instances(ImageId="ami-0123456789abcdef0", InstanceType="t3.micro", MinCount=1, MaxCount=1)


@pytest.mark.parametrize("asked", ["10.20.0.200", None])
def test_a_nat_gateway_lives_in_its_subnet_and_frees_everything_at_its_end(network: Network, asked: str | None) -> None:
    address = network.ec2.allocate_address(Domain="vpc")
    more: dict[str, Any] = {"PrivateIpAddress": asked} if asked else {}
    gateway = network.ec2.create_nat_gateway(SubnetId=network.subnet_id, AllocationId=address["AllocationId"], **more)[
        "NatGateway"
    ]
    private = gateway["NatGatewayAddresses"][0]["PrivateIp"]
    assert private == (asked or "10.20.0.254")
    assert private in interfaces(network)
    network.ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
    assert private not in interfaces(network)
    left = network.ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]
    assert not left.get("AssociationId")


def test_a_floating_elastic_ip_lands_on_a_secondary_address_and_moves(network: Network) -> None:
    """The load balancer's own public address stays where it is while the floating one comes and goes."""
    one = network.launch("10.20.0.60", interface={"AssociatePublicIpAddress": True})
    two = network.launch("10.20.0.61", interface={"AssociatePublicIpAddress": True})
    enis = [host["NetworkInterfaces"][0]["NetworkInterfaceId"] for host in (one, two)]
    for eni, secondary in zip(enis, ("10.20.0.70", "10.20.0.71"), strict=True):
        network.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=[secondary])
    own = {host["InstanceId"]: public_ip(network, host["InstanceId"]) for host in (one, two)}
    floating = network.ec2.allocate_address(Domain="vpc")

    def float_to(eni: str, secondary: str) -> dict[str, Any]:
        network.ec2.associate_address(
            AllocationId=floating["AllocationId"],
            NetworkInterfaceId=eni,
            PrivateIpAddress=secondary,
            AllowReassociation=True,
        )
        found: dict[str, Any] = network.ec2.describe_addresses(AllocationIds=[floating["AllocationId"]])["Addresses"][0]
        return found

    assert float_to(enis[0], "10.20.0.70")["PrivateIpAddress"] == "10.20.0.70"
    moved = float_to(enis[1], "10.20.0.71")
    assert moved["PrivateIpAddress"] == "10.20.0.71"
    assert moved["InstanceId"] == two["InstanceId"]
    assert {host: public_ip(network, host) for host in own} == own
    network.ec2.disassociate_address(AssociationId=moved["AssociationId"])
    assert {host: public_ip(network, host) for host in own} == own
    with pytest.raises(ClientError, match="is not an address of"):
        float_to(enis[0], "10.20.0.99")
    network.ec2.terminate_instances(InstanceIds=list(own))


def public_ip(network: Network, instance_id: str) -> str | None:
    found = network.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    public: str | None = found["NetworkInterfaces"][0].get("Association", {}).get("PublicIp")
    return public


def test_a_rule_can_be_given_another_group(network: Network) -> None:
    ids = [
        network.ec2.create_security_group(VpcId=network.vpc_id, GroupName=name, Description=name)["GroupId"]
        for name in ("rule-a", "rule-b", "rule-c")
    ]
    rule = network.ec2.authorize_security_group_ingress(
        GroupId=ids[0],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": ids[1]}]}],
    )["SecurityGroupRules"][0]
    wanted = {"IpProtocol": "tcp", "FromPort": 2, "ToPort": 2, "ReferencedGroupId": ids[2]}
    network.ec2.modify_security_group_rules(
        GroupId=ids[0],
        SecurityGroupRules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": wanted}],
    )
    permission = network.ec2.describe_security_groups(GroupIds=[ids[0]])["SecurityGroups"][0]["IpPermissions"][0]
    assert (permission["FromPort"], permission["UserIdGroupPairs"][0]["GroupId"]) == (2, ids[2])


def test_a_conditional_deny_in_a_bucket_policy_does_not_lock_the_operator_out(api: AwsService) -> None:
    s3 = api.client("s3")
    s3.create_bucket(Bucket="tls-only")
    s3.put_bucket_policy(
        Bucket="tls-only",
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",'
        ' "Resource": ["arn:aws:s3:::tls-only/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}',
    )
    s3.put_object(Bucket="tls-only", Key="key", Body=b"body")
    assert s3.get_object(Bucket="tls-only", Key="key")["Body"].read() == b"body"


def test_an_endpoints_routes_follow_its_route_tables(network: Network) -> None:
    tables = [network.ec2.create_route_table(VpcId=network.vpc_id)["RouteTable"]["RouteTableId"] for _ in range(2)]
    endpoint = network.ec2.create_vpc_endpoint(
        VpcId=network.vpc_id, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=tables[:1]
    )["VpcEndpoint"]
    assert endpoint["VpcEndpointType"] == "Gateway"

    def through() -> list[bool]:
        found = network.ec2.describe_route_tables(RouteTableIds=tables)["RouteTables"]
        gateways = {one["RouteTableId"]: {route.get("GatewayId") for route in one["Routes"]} for one in found}
        return [endpoint["VpcEndpointId"] in gateways[table] for table in tables]

    assert through() == [True, False]
    network.ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"], AddRouteTableIds=tables[1:], RemoveRouteTableIds=tables[:1]
    )
    assert through() == [False, True]
    network.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    assert through() == [False, False]


def test_groups_profile_and_user_data_of_an_instance_are_replaced(api: AwsService, network: Network) -> None:
    iam = api.client("iam")
    for name in ("whole-a", "whole-b"):
        iam.create_instance_profile(InstanceProfileName=name)
    groups = [
        network.ec2.create_security_group(VpcId=network.vpc_id, GroupName=name, Description=name)["GroupId"]
        for name in ("whole-a", "whole-b")
    ]
    host = network.launch("10.20.0.90", interface={"Groups": groups[:1]}, IamInstanceProfile={"Name": "whole-a"})[
        "InstanceId"
    ]
    network.ec2.modify_instance_attribute(InstanceId=host, Groups=groups[1:])
    network.ec2.modify_instance_attribute(InstanceId=host, UserData={"Value": b"\x1f\x8bbinary"})
    association = network.ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [host]}]
    )["IamInstanceProfileAssociations"][0]["AssociationId"]
    network.ec2.replace_iam_instance_profile_association(
        AssociationId=association, IamInstanceProfile={"Name": "whole-b"}
    )
    snapshot = read_snapshot(api.snapshot_clients())
    found = snapshot.instance(host)
    assert found is not None
    assert found.security_group_ids == (groups[1],)
    assert str(found.profile_arn).endswith("/whole-b")
    assert read_user_data(api.snapshot_clients(), host) == b"\x1f\x8bbinary"
    network.ec2.terminate_instances(InstanceIds=[host])


def test_a_zone_that_does_not_exist_is_refused_by_name(network: Network) -> None:
    with pytest.raises(ClientError) as subnet:
        network.ec2.create_subnet(VpcId=network.vpc_id, CidrBlock="10.20.200.0/24", AvailabilityZone="us-east-1z")
    assert subnet.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(ClientError) as volume:
        network.ec2.create_volume(Size=8, AvailabilityZone="us-east-1z", VolumeType="gp3")
    assert volume.value.response["Error"]["Code"] == "InvalidZone.NotFound"
    assert "us-east-1z" in str(subnet.value)
    assert "us-east-1z" in str(volume.value)
    made = network.ec2.create_volume(Size=8, AvailabilityZone="us-east-1b", VolumeType="gp3")
    assert made["AvailabilityZone"] == "us-east-1b"
    network.ec2.delete_volume(VolumeId=made["VolumeId"])


def test_a_snapshot_is_pending_until_its_bytes_are_kept_and_volumes_are_made_of_it_then(
    api: AwsService, network: Network
) -> None:
    ec2, zone = network.ec2, "us-east-1a"
    volume = ec2.create_volume(Size=8, AvailabilityZone=zone, VolumeType="gp3")["VolumeId"]
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "ha:stack", "Value": "dev"}]}]
    made = ec2.create_snapshot(VolumeId=volume, Description="before", TagSpecifications=tags)["SnapshotId"]

    def described() -> dict[str, Any]:
        found = ec2.describe_snapshots(Filters=[{"Name": "tag:ha:stack", "Values": ["dev"]}])["Snapshots"]
        return {key: found[0][key] for key in ("SnapshotId", "State", "Progress", "VolumeSize", "VolumeId")}

    ec2.modify_volume(VolumeId=volume, Size=20)
    same = {"SnapshotId": made, "VolumeSize": 8, "VolumeId": volume}
    assert described() == {**same, "State": "pending", "Progress": "0%"}
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.create_volume(SnapshotId=made, AvailabilityZone=zone)
    api.report_snapshot(made, "pending", 40)
    assert described() == {**same, "State": "pending", "Progress": "40%"}
    assert made in {one.id for one in read_snapshot(api.snapshot_clients()).volume_snapshots}
    api.report_snapshot(made, "completed", 100)
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[made])
    with pytest.raises(ClientError, match="smaller than snapshot"):
        ec2.create_volume(SnapshotId=made, AvailabilityZone=zone, Size=7)
    sizes = [ec2.create_volume(SnapshotId=made, AvailabilityZone=zone, **size) for size in ({}, {"Size": 30})]
    assert [one["Size"] for one in sizes] == [8, 30]
    found = {one.id: one.snapshot_id for one in read_snapshot(api.snapshot_clients()).volumes}
    assert [found[one["VolumeId"]] for one in sizes] == [made, made]
    assert found[volume] is None
    api.report_snapshot(made, "error", 0)
    ec2.delete_volume(VolumeId=volume)
    assert read_snapshot(api.snapshot_clients()).volume_snapshots == ()
    ec2.delete_snapshot(SnapshotId=made)
    api.report_snapshot(made, "completed", 100)
    assert made not in {one["SnapshotId"] for one in ec2.describe_snapshots()["Snapshots"]}


def test_of_conditional_writes_at_the_same_time_one_succeeds(api: AwsService, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.s3.models import S3Backend

    s3 = api.client("s3")
    s3.create_bucket(Bucket="whole")
    get_object = S3Backend.get_object

    def slow(*args: Any, **kwargs: Any) -> Any:
        found = get_object(*args, **kwargs)
        time.sleep(0.05)  # the others get to the same place
        return found

    def put(body: str, **condition: str) -> str:
        try:
            s3.put_object(Bucket="whole", Key="lease", Body=body, **condition)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "written"

    monkeypatch.setattr(S3Backend, "get_object", slow)
    assert put("0", IfMatch='"0123"') == "NoSuchKey"
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda n: put(str(n), IfNoneMatch="*"), range(4)))
        etag = s3.head_object(Bucket="whole", Key="lease")["ETag"]
        replaced = list(threads.map(lambda n: put(f"again {n}", IfMatch=etag), range(4)))
    for results in (made, replaced):
        assert sorted(results) == ["PreconditionFailed"] * 3 + ["written"]


def test_a_delete_marker_can_be_deleted_after_versioning_was_suspended(api: AwsService) -> None:
    s3 = api.client("s3")
    s3.create_bucket(Bucket="emptied")
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket="emptied", VersioningConfiguration={"Status": status})
        if status == "Enabled":
            s3.put_object(Bucket="emptied", Key="key", Body=b"body")
            s3.delete_object(Bucket="emptied", Key="key")
    marker = s3.list_object_versions(Bucket="emptied")["DeleteMarkers"][0]
    s3.delete_object(Bucket="emptied", Key="key", VersionId=marker["VersionId"])
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket="emptied")


# --- Object Lock and replication


LOCK: Any = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 23}}}


@pytest.fixture
def locked(api: AwsService) -> Iterator[tuple[Any, str]]:
    """A bucket with Object Lock."""
    s3 = api.client("s3")
    s3.create_bucket(Bucket="locked")
    s3.put_bucket_versioning(Bucket="locked", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=LOCK)
    yield s3, "locked"
    for version in s3.list_object_versions(Bucket="locked").get("Versions", ()):
        named = {"Key": version["Key"], "VersionId": version["VersionId"]}
        s3.delete_object(Bucket="locked", BypassGovernanceRetention=True, **named)
    s3.delete_bucket(Bucket="locked")


def test_objects_are_locked_by_default_also_those_of_several_parts(locked: tuple[Any, str]) -> None:
    s3, bucket = locked
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    s3.put_object(Bucket=bucket, Key="whole", Body=b"x")
    for key in ("parts", "whole"):
        found = s3.head_object(Bucket=bucket, Key=key)
        assert found["ObjectLockMode"] == "GOVERNANCE"
        assert 22 < (found["ObjectLockRetainUntilDate"] - datetime.now(UTC)).total_seconds() / 86400 <= 23
        with pytest.raises(ClientError):
            s3.delete_object(Bucket=bucket, Key=key, VersionId=found["VersionId"])


def test_a_bucket_with_objects_takes_another_default_lock_and_keeps_its_versions(locked: tuple[Any, str]) -> None:
    s3, bucket = locked
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert "Rule" not in s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    with pytest.raises(ClientError, match="InvalidBucketState"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_a_replication_is_answered_as_it_was_put(locked: tuple[Any, str]) -> None:
    s3, bucket = locked
    rule = {
        "ID": "all",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": "a/"},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": "arn:aws:s3:::elsewhere"},
    }
    s3.put_bucket_replication(
        Bucket=bucket, ReplicationConfiguration={"Role": "arn:aws:iam::123456789012:role/x", "Rules": [rule]}
    )
    assert s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"] == [rule]


def test_a_launch_takes_from_its_template_what_the_call_leaves_out(api: AwsService, network: Network) -> None:
    ec2, iam = network.ec2, api.client("iam")
    iam.create_instance_profile(InstanceProfileName="template")
    tags = [{"Key": "ha:stack", "Value": "dev"}]
    data: dict[str, Any] = {
        "ImageId": network.image_id,
        "InstanceType": "t3.small",
        "IamInstanceProfile": {"Name": "template"},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": network.subnet_id, "PrivateIpAddress": "10.20.0.61"}],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "Encrypted": True, "DeleteOnTermination": True}},
        ],
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }
    texts = ["#cloud-config\n# one", "#cloud-config\n# two"]
    first, second = ({**data, "UserData": base64.b64encode(text.encode()).decode()} for text in texts)
    template = ec2.create_launch_template(LaunchTemplateName="of-a-host", LaunchTemplateData=first)["LaunchTemplate"]
    named = {"LaunchTemplate": {"LaunchTemplateName": "of-a-host"}, "MinCount": 1, "MaxCount": 1}
    instance_id = ec2.run_instances(**named)["Instances"][0]["InstanceId"]
    assert read_user_data(api.snapshot_clients(), instance_id).decode() == texts[0]
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.create_launch_template_version(LaunchTemplateName="of-a-host", LaunchTemplateData=second)
    ec2.modify_launch_template(LaunchTemplateId=template["LaunchTemplateId"], DefaultVersion="2")
    launched = ec2.run_instances(**named)["Instances"][0]
    instance_id = launched["InstanceId"]
    try:
        assert launched["PrivateIpAddress"] == "10.20.0.61"
        assert launched["InstanceType"] == "t3.small"
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        assert found["IamInstanceProfile"]["Arn"].endswith("/template")
        assert found["MetadataOptions"]["HttpTokens"] == "required"
        assert {"Key": "ha:stack", "Value": "dev"} in found["Tags"]
        assert read_user_data(api.snapshot_clients(), instance_id).decode() == texts[1]
        asked = "instanceInitiatedShutdownBehavior"
        behaviour = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=asked)
        assert behaviour["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
        attached = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
        volumes = ec2.describe_volumes(Filters=attached)["Volumes"]
        assert sorted(one["Size"] for one in volumes) == [8, 20]
        assert all({"Key": "ha:stack", "Value": "dev"} in one["Tags"] for one in volumes)
        with pytest.raises(ClientError, match="InUse"):
            ec2.run_instances(**named)
    finally:
        ec2.terminate_instances(InstanceIds=[instance_id])
    assert not ec2.describe_volumes(Filters=[{"Name": "size", "Values": ["20"]}])["Volumes"]

"""The snapshot holds what the API says, as values."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from lab.aws.model import AwsSnapshot, InstanceState, Rule, TargetKind
from lab.aws.service import AwsService
from lab.aws.snapshot import _route, read_snapshot, read_user_data
from tests.unit.lab.aws.conftest import Network


@pytest.fixture(scope="module")
def built(api: AwsService, network: Network) -> dict[str, str]:
    """A gateway, a NAT gateway, an endpoint, a group, and an instance with a volume."""
    ec2, iam = network.ec2, api.client("iam")
    ids: dict[str, str] = {}
    ids["igw"] = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=ids["igw"], VpcId=network.vpc_id)
    address = ec2.allocate_address(Domain="vpc")
    ids["nat-address"] = address["PublicIp"]
    ids["nat"] = ec2.create_nat_gateway(SubnetId=network.subnet_id, AllocationId=address["AllocationId"])["NatGateway"][
        "NatGatewayId"
    ]
    ids["table"] = ec2.create_route_table(VpcId=network.vpc_id)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=ids["table"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ids["nat"])
    ec2.create_route(RouteTableId=ids["table"], DestinationCidrBlock="198.18.0.0/24", GatewayId=ids["igw"])
    ec2.associate_route_table(RouteTableId=ids["table"], SubnetId=network.subnet_id)
    ids["endpoint"] = ec2.create_vpc_endpoint(
        VpcId=network.vpc_id, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[ids["table"]]
    )["VpcEndpoint"]["VpcEndpointId"]
    ids["group"] = ec2.create_security_group(VpcId=network.vpc_id, GroupName="db", Description="db")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=ids["group"],
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 5432,
                "ToPort": 5432,
                "UserIdGroupPairs": [{"GroupId": ids["group"]}],
                "IpRanges": [{"CidrIp": "10.20.0.0/16"}],
            },
            {"IpProtocol": "112", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.20.0.7/32"}]},
        ],
    )
    iam.create_role(RoleName="db-role", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="db-profile")
    iam.add_role_to_instance_profile(InstanceProfileName="db-profile", RoleName="db-role")
    instance = network.launch(
        "10.20.0.21",
        interface={"Groups": [ids["group"]]},
        IamInstanceProfile={"Name": "db-profile"},
        UserData="#cloud-config\n",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": "ha:host", "Value": "db1"}, {"Key": "Name", "Value": "dev-db1"}],
            }
        ],
    )
    ids["instance"] = instance["InstanceId"]
    ids["volume"] = ec2.create_volume(Size=20, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.attach_volume(VolumeId=ids["volume"], InstanceId=ids["instance"], Device="/dev/sdf")
    return ids


@pytest.fixture
def snapshot(api: AwsService, built: dict[str, str]) -> AwsSnapshot:
    return read_snapshot(api.snapshot_clients())


def test_reading_twice_gives_equal_snapshots(api: AwsService, snapshot: AwsSnapshot) -> None:
    assert read_snapshot(api.snapshot_clients()) == snapshot


def test_an_instance_has_what_a_host_needs(api: AwsService, snapshot: AwsSnapshot, built: dict[str, str]) -> None:
    host = snapshot.instance(built["instance"])
    assert host is not None
    assert (host.name, host.state, host.private_ip) == ("db1", InstanceState.RUNNING, IPv4Address("10.20.0.21"))
    assert (host.role_name, host.security_group_ids) == ("db-role", (built["group"],))
    assert (host.metadata.enabled, host.metadata.tokens_required, host.metadata.tags) == (True, True, False)
    assert host.public_ip is None
    assert host.source_dest_check is True
    assert snapshot.instance_at(IPv4Address("10.20.0.21")) == host
    assert read_user_data(api.snapshot_clients(), host.id) == b"#cloud-config\n"


def test_an_instance_without_user_data_has_none(api: AwsService, network: Network) -> None:
    plain = network.launch("10.20.0.30")
    assert read_user_data(api.snapshot_clients(), plain["InstanceId"]) == b""
    network.ec2.terminate_instances(InstanceIds=[plain["InstanceId"]])


def test_a_terminated_instance_holds_no_address(api: AwsService, network: Network) -> None:
    gone = network.launch("10.20.0.31")["InstanceId"]
    network.ec2.terminate_instances(InstanceIds=[gone])
    snapshot = read_snapshot(api.snapshot_clients())
    left = snapshot.instance(gone)
    assert left is not None
    assert (left.state, left.private_ip) == (InstanceState.TERMINATED, None)
    assert snapshot.instance_at(IPv4Address("10.20.0.31")) is None


def test_routes_say_where_packets_go(snapshot: AwsSnapshot, built: dict[str, str], network: Network) -> None:
    table = snapshot.route_table_of(network.subnet_id)
    assert table.id == built["table"]
    assert {(route.kind, route.target_id) for route in table.routes} == {
        (TargetKind.LOCAL, "local"),
        (TargetKind.NAT_GATEWAY, built["nat"]),
        (TargetKind.INTERNET_GATEWAY, built["igw"]),
        (TargetKind.VPC_ENDPOINT, built["endpoint"]),
    }
    s3 = next(route for route in table.routes if route.kind is TargetKind.VPC_ENDPOINT)
    assert s3.cidr is None
    assert snapshot.prefix_lists[s3.prefix_list_id or ""] == "com.amazonaws.us-east-1.s3"


def test_a_subnet_without_a_table_of_its_own_goes_by_the_main_one(
    api: AwsService, network: Network, built: dict[str, str]
) -> None:
    subnet = network.ec2.create_subnet(VpcId=network.vpc_id, CidrBlock="10.20.9.0/24")["Subnet"]["SubnetId"]
    table = read_snapshot(api.snapshot_clients()).route_table_of(subnet)
    assert table.main
    assert [route.kind for route in table.routes] == [TargetKind.LOCAL]


def test_rules_name_one_peer_each_and_no_ports_where_there_are_none(
    snapshot: AwsSnapshot, built: dict[str, str]
) -> None:
    group = next(one for one in snapshot.security_groups if one.id == built["group"])
    assert set(group.ingress) == {
        Rule("tcp", 5432, 5432, cidr="10.20.0.0/16"),
        Rule("tcp", 5432, 5432, group_id=built["group"]),
        Rule("112", None, None, cidr="10.20.0.7/32"),
    }
    assert group.egress == (Rule("-1", None, None, cidr="0.0.0.0/0"),)


def test_gateways_endpoints_and_volumes_are_there(
    snapshot: AwsSnapshot, built: dict[str, str], network: Network
) -> None:
    nat = next(one for one in snapshot.nat_gateways if one.id == built["nat"])
    assert (nat.subnet_id, str(nat.public_ip)) == (network.subnet_id, built["nat-address"])
    assert nat.public_ip in snapshot.public_addresses().values()
    assert [one.vpc_id for one in snapshot.internet_gateways if one.id == built["igw"]] == [network.vpc_id]
    assert [one.route_table_ids for one in snapshot.endpoints] == [(built["table"],)]
    volume = next(one for one in snapshot.volumes if one.id == built["volume"])
    assert volume.attachment is not None
    assert (volume.attachment.instance_id, volume.attachment.device, volume.size_gib) == (
        built["instance"],
        "/dev/sdf",
        20,
    )
    assert snapshot.vpc(network.vpc_id).cidr == IPv4Network("10.20.0.0/16")
    assert snapshot.subnet(network.subnet_id).cidr == IPv4Network("10.20.0.0/24")
    assert snapshot.subnet(network.subnet_id).zone_id.startswith("use1-az")


def test_a_route_to_what_is_gone_is_a_black_hole() -> None:
    route = _route({"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "blackhole"})
    assert route.kind is TargetKind.BLACKHOLE


def test_what_does_not_exist_is_an_error(snapshot: AwsSnapshot) -> None:
    with pytest.raises(KeyError):
        snapshot.subnet("subnet-0")
    with pytest.raises(KeyError):
        snapshot.route_table_of("subnet-0")
    assert snapshot.instance("i-0") is None

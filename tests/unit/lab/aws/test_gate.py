"""Hosts' requests, made by boto3 with keys of their role, through the whole API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from components.policies import bucket_policy, role_policy
from lab.aws.actions import Place
from lab.aws.credentials import Credentials, HostKey
from lab.aws.gate import Gate
from lab.aws.service import AwsService, _descriptions
from lab.aws.simulator import IamSimulator
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from spec.tags import tags
from spec.tiers import Tier
from tests.unit.lab.aws.conftest import REGION, Network

PLACE = Place(EXAMPLE_ACCOUNT_ID, REGION)
PARAMETERS = f"arn:aws:ssm:{REGION}:{EXAMPLE_ACCOUNT_ID}:parameter"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:PutParameter"],
            "Resource": f"{PARAMETERS}/ha/dev/db/*",
        },
        {
            "Effect": "Deny",
            "Action": "ssm:PutParameter",
            "Resource": "*",
            "Condition": {"StringEquals": {"ssm:Overwrite": "true"}},
        },
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::releases-box/releases/*"},
        {"Effect": "Allow", "Action": "ec2:DescribeAddresses", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "ec2:AssociateAddress",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/ha:stack": "dev"}},
        },
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": f"arn:aws:sns:{REGION}:{EXAMPLE_ACCOUNT_ID}:alerts"},
    ],
}


class Clock:
    """A clock that a test can set forward."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def credentials(clock: Clock) -> Credentials:
    return Credentials(clock)


@pytest.fixture(scope="module")
def guarded(api: AwsService, credentials: Credentials, simulator: IamSimulator) -> Iterator[AwsService]:
    """The API behind a gate, with a role, and things to ask for."""
    iam = api.client("iam")
    iam.create_role(RoleName="db", AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName="db", PolicyName="db", PolicyDocument=json.dumps(POLICY))
    ssm, s3 = api.client("ssm"), api.client("s3")
    for name in ("/ha/dev/db/app-password", "/ha/dev/cache/password"):
        ssm.put_parameter(Name=name, Value="value", Type="SecureString")
    s3.create_bucket(Bucket="releases-box")
    tls_only = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::releases-box/*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    s3.put_bucket_policy(Bucket="releases-box", Policy=json.dumps(tls_only))
    for key in ("releases/a b+c.tar.gz", "backups/secret"):
        s3.put_object(Bucket="releases-box", Key=key, Body=b"content")
    api.client("sns").create_topic(Name="alerts")
    api.layers = [Gate(credentials=credentials, simulator=simulator, place=PLACE, client=api.client)]
    yield api
    api.layers = []


@pytest.fixture
def key(guarded: AwsService, credentials: Credentials) -> HostKey:
    return credentials.issue("i-0123456789abcdef0", "db")


def test_anyone_may_ask_who_they_are(guarded: AwsService, key: HostKey) -> None:
    assert host_client(guarded, key, "sts").get_caller_identity()["Account"] == EXAMPLE_ACCOUNT_ID


def host_client(api: AwsService, key: HostKey, service: str, *, tls: bool = True, style: str = "path") -> Any:
    """A client as a host has it. With `tls`, its requests have the header that the TLS proxy adds."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _descriptions())  # shared: reading them takes longer than most tests
    session: Any = boto3.session.Session(
        botocore_session=core,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        aws_session_token=key.token,
        region_name=REGION,
    )
    s3: Any = {"addressing_style": style}
    config = Config(retries={"total_max_attempts": 1}, s3=s3, proxies={})
    client = session.client(service, endpoint_url=api.url, config=config)
    if tls:
        client.meta.events.register("before-send.*", add_source_address)
    return client


def add_source_address(request: Any, **_: Any) -> None:
    request.headers["X-Forwarded-For"] = "10.20.0.21"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_role_reads_its_own_secret_and_no_other_tiers(guarded: AwsService, key: HostKey) -> None:
    ssm = host_client(guarded, key, "ssm")
    own = ssm.get_parameter(Name="/ha/dev/db/app-password", WithDecryption=True)
    assert own["Parameter"]["Value"] == "value"
    with pytest.raises(ClientError) as denied:
        ssm.get_parameter(Name="/ha/dev/cache/password")
    assert code(denied) == "AccessDeniedException"
    assert (
        "assumed-role/db/i-0123456789abcdef0 is not authorized to perform: ssm:GetParameter on resource: "
        f"{PARAMETERS}/ha/dev/cache/password because no identity-based policy allows" in str(denied.value)
    )


def test_a_role_may_create_and_never_overwrite(guarded: AwsService, key: HostKey) -> None:
    ssm = host_client(guarded, key, "ssm")
    ssm.put_parameter(Name="/ha/dev/db/new", Value="one", Type="SecureString")
    with pytest.raises(ClientError, match="explicit deny"):
        ssm.put_parameter(Name="/ha/dev/db/new", Value="two", Type="SecureString", Overwrite=True)
    with pytest.raises(ClientError, match="ParameterAlreadyExists"):
        ssm.put_parameter(Name="/ha/dev/db/new", Value="two", Type="SecureString", Overwrite=False)
    assert ssm.get_parameter(Name="/ha/dev/db/new", WithDecryption=True)["Parameter"]["Value"] == "one"


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_an_object_is_read_where_the_policy_says_so(guarded: AwsService, key: HostKey, style: str) -> None:
    s3 = host_client(guarded, key, "s3", style=style)
    if style == "virtual":
        # A loopback address has no names below it: the usual name is put in just before it is signed.
        s3.meta.events.register("before-sign.s3", lambda request, **_: virtual_host(request))
    body = s3.get_object(Bucket="releases-box", Key="releases/a b+c.tar.gz")["Body"].read()
    assert body == b"content"
    with pytest.raises(ClientError) as denied:
        s3.get_object(Bucket="releases-box", Key="backups/secret")
    assert code(denied) == "AccessDenied"


def test_a_missing_object_is_denied_to_who_may_not_list_the_bucket(guarded: AwsService, key: HostKey) -> None:
    s3 = host_client(guarded, key, "s3")
    for ask in (s3.get_object, s3.head_object):
        with pytest.raises(ClientError) as denied:
            ask(Bucket="releases-box", Key="releases/missing")
        assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(ClientError, match="s3:ListBucket"):
        s3.get_object(Bucket="releases-box", Key="releases/missing")


def virtual_host(request: Any) -> None:
    request.url = request.url.replace("/releases-box/", "/")
    request.headers["Host"] = "releases-box.s3.us-east-1.amazonaws.com"


def test_a_bucket_policy_applies_too(guarded: AwsService, key: HostKey) -> None:
    """The bucket insists on TLS."""
    s3 = host_client(guarded, key, "s3", tls=False)
    with pytest.raises(ClientError, match="explicit deny"):
        s3.get_object(Bucket="releases-box", Key="releases/a b+c.tar.gz")


def test_conditions_on_tags_of_the_resource_apply(guarded: AwsService, network: Network, key: HostKey) -> None:
    instance = network.launch(
        "10.20.0.80",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "ha:stack", "Value": "dev"}]}],
    )["InstanceId"]
    tagged, bare = (network.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2))
    network.ec2.create_tags(Resources=[tagged], Tags=[{"Key": "ha:stack", "Value": "dev"}])
    ec2 = host_client(guarded, key, "ec2")
    ec2.associate_address(AllocationId=tagged, InstanceId=instance)
    with pytest.raises(ClientError) as denied:
        ec2.associate_address(AllocationId=bare, InstanceId=instance)
    assert code(denied) == "UnauthorizedOperation"


def test_requests_in_the_query_and_cbor_protocols_are_refused_in_kind(guarded: AwsService, key: HostKey) -> None:
    sns = host_client(guarded, key, "sns")
    sns.publish(TopicArn=f"arn:aws:sns:{REGION}:{EXAMPLE_ACCOUNT_ID}:alerts", Message="down")
    with pytest.raises(ClientError) as denied:
        sns.publish(TopicArn=f"arn:aws:sns:{REGION}:{EXAMPLE_ACCOUNT_ID}:other", Message="down")
    assert "AuthorizationError" in code(denied) or code(denied) == "AccessDenied"
    with pytest.raises(ClientError) as denied:
        host_client(guarded, key, "cloudwatch").put_metric_data(Namespace="ha/dev", MetricData=[{"MetricName": "lag"}])
    assert "AccessDenied" in code(denied)


def test_an_operation_without_a_row_is_refused_and_says_so(guarded: AwsService, key: HostKey) -> None:
    ec2 = host_client(guarded, key, "ec2")
    assert ec2.describe_addresses()["Addresses"] is not None
    with pytest.raises(ClientError, match="the lab's table of actions"):
        ec2.terminate_instances(InstanceIds=["i-0"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"secret_key": "guessed"}, "InvalidSignatureException"),
        ({"token": "guessed"}, "UnrecognizedClientException"),
        ({"access_key": "ASIALABGUESSED000000"}, "UnrecognizedClientException"),
        ({"access_key": "AKIALABOPERATOR00000", "secret_key": "lab-operator"}, "UnrecognizedClientException"),
    ],
    ids=["secret", "token", "access key", "the operator's key from a host"],
)
def test_a_request_without_the_whole_key_is_refused(
    guarded: AwsService, key: HostKey, change: dict[str, Any], expected: str
) -> None:
    ssm = host_client(guarded, replace(key, **change), "ssm")
    with pytest.raises(ClientError) as denied:
        ssm.get_parameter(Name="/ha/dev/db/app-password")
    assert code(denied) == expected


def test_a_key_expires(guarded: AwsService, credentials: Credentials, clock: Clock) -> None:
    old = credentials.issue("i-0aaaaaaaaaaaaaaaa", "db")
    clock.ahead_s = 6 * 3600 + 1
    try:
        with pytest.raises(ClientError) as denied:
            host_client(guarded, old, "ssm").get_parameter(Name="/ha/dev/db/app-password")
        assert code(denied) == "ExpiredTokenException"
        fresh = credentials.issue("i-0aaaaaaaaaaaaaaaa", "db")
        assert fresh.access_key != old.access_key
    finally:
        clock.ahead_s = 0.0


def test_a_key_ends_with_its_instance(guarded: AwsService, credentials: Credentials) -> None:
    doomed = credentials.issue("i-0bbbbbbbbbbbbbbbb", "db")
    ssm = host_client(guarded, doomed, "ssm")
    ssm.get_parameter(Name="/ha/dev/db/app-password")
    described = guarded.client("ec2").describe_instances()["Reservations"]
    alive = [instance["InstanceId"] for one in described for instance in one["Instances"]]
    credentials.keep_only(["i-0123456789abcdef0", *alive])
    with pytest.raises(ClientError) as denied:
        ssm.get_parameter(Name="/ha/dev/db/app-password")
    assert code(denied) == "UnrecognizedClientException"


def test_a_changed_policy_applies_at_once(guarded: AwsService, credentials: Credentials) -> None:
    iam = guarded.client("iam")
    iam.create_role(RoleName="late", AssumeRolePolicyDocument="{}")
    ssm = host_client(guarded, credentials.issue("i-0cccccccccccccccc", "late"), "ssm")
    with pytest.raises(ClientError):
        ssm.get_parameter(Name="/ha/dev/db/app-password")
    iam.put_role_policy(RoleName="late", PolicyName="p", PolicyDocument=json.dumps(POLICY))
    assert ssm.get_parameter(Name="/ha/dev/db/app-password")["Parameter"]
    iam.delete_role_policy(RoleName="late", PolicyName="p")
    with pytest.raises(ClientError):
        ssm.get_parameter(Name="/ha/dev/db/app-password")


def test_an_unsigned_request_is_refused(guarded: AwsService) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{guarded.url}/releases-box/releases/a")
    assert refused.value.code == 403


def test_the_operator_passes(guarded: AwsService) -> None:
    guarded.client("ssm").put_parameter(Name="/ha/dev/any", Value="x", Type="String", Overwrite=True)


# --- The policy of the load balancers

SCOPE = Scope(
    partition="aws",
    account=EXAMPLE_ACCOUNT_ID,
    region=REGION,
    project="ha",
    stack="prod",
    artifact_bucket="artifacts",
    load_balancers=2,
)
SECOND = "10.20.0.121"


def specification(kind: str, of: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in of.items()]}]


@dataclass
class Addresses:
    """The operator's and a load balancer's access to the addresses of a small estate."""

    ec2: Any
    host: Any
    ids: dict[str, str]

    def holder(self) -> tuple[str | None, str | None]:
        (found,) = self.ec2.describe_addresses(AllocationIds=[self.ids["public"]])["Addresses"]
        return found.get("InstanceId"), found.get("PrivateIpAddress")

    def move(self, address: str, to: str, **more: Any) -> None:
        self.host.associate_address(
            AllocationId=self.ids[address], InstanceId=self.ids[to], AllowReassociation=True, **more
        )


@pytest.fixture(scope="module")
def addresses(guarded: AwsService, network: Network, credentials: Credentials) -> Addresses:
    """Load balancers with the policy of their own role."""
    guarded.client("iam").create_role(RoleName="lb", AssumeRolePolicyDocument="{}")
    guarded.client("iam").put_role_policy(
        RoleName="lb", PolicyName="lb", PolicyDocument=json.dumps(role_policy(Tier.LB, SCOPE))
    )
    ids = {}
    for name, tier, address in (
        ("lb1", Tier.LB, "10.20.0.110"),
        ("lb2", Tier.LB, "10.20.0.111"),
        ("app1", Tier.APP, "10.20.0.112"),
    ):
        own = tags("prod", name, tier=tier, host=name)
        ids[name] = network.launch(address, TagSpecifications=specification("instance", own))["InstanceId"]
    ids["foreign"] = network.launch(
        "10.20.0.113", TagSpecifications=specification("instance", tags("dev", "lb1", tier=Tier.LB, host="lb1"))
    )["InstanceId"]
    (seen,) = network.ec2.describe_instances(InstanceIds=[ids["lb1"]])["Reservations"][0]["Instances"]
    interface = seen["NetworkInterfaces"][0]["NetworkInterfaceId"]
    network.ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=[SECOND])
    for name, own in (
        ("public", tags("prod", "public", tier=Tier.LB)),
        ("own", tags("prod", "lb1-own", tier=Tier.LB, host="lb1")),
    ):
        made = network.ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip", own))
        ids[name] = made["AllocationId"]
    return Addresses(network.ec2, host_client(guarded, credentials.issue(ids["lb1"], "lb"), "ec2"), ids)


def test_a_load_balancer_takes_the_public_address_on_its_second_one_and_from_the_other(addresses: Addresses) -> None:
    addresses.move("public", "lb2")
    addresses.move("public", "lb1", PrivateIpAddress=SECOND)
    assert addresses.holder() == (addresses.ids["lb1"], SECOND)
    addresses.move("public", "lb1", PrivateIpAddress=SECOND)  # again changes nothing
    assert addresses.holder() == (addresses.ids["lb1"], SECOND)
    assert addresses.host.describe_addresses()["Addresses"]


@pytest.mark.parametrize(
    ("address", "to"),
    [("public", "app1"), ("public", "foreign"), ("own", "lb2")],
    ids=["not to another tier", "not to another stack", "no other address"],
)
def test_nothing_else_is_moved(addresses: Addresses, address: str, to: str) -> None:
    with pytest.raises(ClientError) as denied:
        addresses.move(address, to)
    assert denied.value.response["Error"]["Code"] == "UnauthorizedOperation"


def test_it_may_not_give_it_away_or_release_it(addresses: Addresses) -> None:
    addresses.move("public", "lb1", PrivateIpAddress=SECOND)
    (seen,) = addresses.ec2.describe_addresses(AllocationIds=[addresses.ids["public"]])["Addresses"]
    with pytest.raises(ClientError):
        addresses.host.disassociate_address(AssociationId=seen["AssociationId"])
    with pytest.raises(ClientError):
        addresses.host.release_address(AllocationId=addresses.ids["public"])


# --- Backups, with the policy of the database hosts

BACKUPS = "ha-prod-backups-123456789012-us-east-1"
OTHERS = "ha-dev-backups-123456789012-us-east-1"
PREFIX = "pgbackrest/7300000000000000000"


@pytest.fixture(scope="module")
def database(guarded: AwsService, credentials: Credentials) -> Any:
    """S3 as a database host of prod has it; the buckets are locked."""
    iam, s3 = guarded.client("iam"), guarded.client("s3")
    iam.create_role(RoleName="database", AssumeRolePolicyDocument="{}")
    iam.put_role_policy(
        RoleName="database", PolicyName="database", PolicyDocument=json.dumps(role_policy(Tier.DB, SCOPE))
    )
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 23}}}
    for bucket in (BACKUPS, OTHERS):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(bucket_policy(f"arn:aws:s3:::{bucket}")))
        s3.put_object(Bucket=bucket, Key=f"{PREFIX}/backup.info", Body=b"good")
    return host_client(guarded, credentials.issue("i-0123456789abcdef0", "database"), "s3")


def test_a_database_host_writes_lists_reads_and_expires_backups(database: Any) -> None:
    key = f"{PREFIX}/archive/ha/1"
    database.put_object(Bucket=BACKUPS, Key=key, Body=b"segment")
    upload = database.create_multipart_upload(Bucket=BACKUPS, Key=f"{key}.parts")["UploadId"]
    part = database.upload_part(Bucket=BACKUPS, Key=f"{key}.parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    database.complete_multipart_upload(Bucket=BACKUPS, Key=f"{key}.parts", UploadId=upload, MultipartUpload=parts)
    listed = database.list_objects_v2(Bucket=BACKUPS, Prefix=f"{PREFIX}/archive/")["Contents"]
    assert [one["Key"] for one in listed] == [key, f"{key}.parts"]
    assert database.get_object(Bucket=BACKUPS, Key=key)["Body"].read() == b"segment"
    database.delete_object(Bucket=BACKUPS, Key=key)
    database.delete_objects(Bucket=BACKUPS, Delete={"Objects": [{"Key": f"{key}.parts"}]})
    with pytest.raises(ClientError) as missing:
        database.head_object(Bucket=BACKUPS, Key=key)
    assert code(missing) == "404"


def test_a_database_host_destroys_no_version_and_shortens_no_lock(guarded: AwsService, database: Any) -> None:
    """Each way is refused by the role's policy; the lock would refuse the deletions by itself."""
    named = {"Bucket": BACKUPS, "Key": f"{PREFIX}/backup.info"}
    version = database.head_object(**named)["VersionId"]
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": time.time()}
    attempts: list[Callable[[], object]] = [
        lambda: database.delete_object(**named, VersionId=version),
        lambda: database.delete_object(**named, VersionId=version, BypassGovernanceRetention=True),
        lambda: database.delete_objects(
            Bucket=BACKUPS, Delete={"Objects": [{"Key": named["Key"], "VersionId": version}]}
        ),
        lambda: database.put_object_retention(**named, Retention=retention),
        lambda: database.put_object_retention(**named, Retention=retention, BypassGovernanceRetention=True),
        lambda: database.put_object_legal_hold(**named, LegalHold={"Status": "OFF"}),
        lambda: database.put_bucket_versioning(Bucket=BACKUPS, VersioningConfiguration={"Status": "Suspended"}),
        lambda: database.put_bucket_policy(Bucket=BACKUPS, Policy="{}"),
        lambda: database.put_object_lock_configuration(
            Bucket=BACKUPS, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        ),
        lambda: database.delete_bucket(Bucket=BACKUPS),
        lambda: database.get_object(**named, VersionId=version),
        lambda: database.put_object(Bucket=BACKUPS, Key="elsewhere", Body=b""),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as denied:
            attempt()
        assert code(denied) == "AccessDenied"
    assert guarded.client("s3").get_object(**named)["Body"].read() == b"good"


def test_a_database_host_reads_and_writes_no_backups_of_another_stack(database: Any) -> None:
    key = f"{PREFIX}/backup.info"
    attempts: list[Callable[[], object]] = [
        lambda: database.get_object(Bucket=OTHERS, Key=key),
        lambda: database.put_object(Bucket=OTHERS, Key=key, Body=b""),
        lambda: database.delete_object(Bucket=OTHERS, Key=key),
        lambda: database.list_objects_v2(Bucket=OTHERS),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as denied:
            attempt()
        assert code(denied) == "AccessDenied"


def test_a_lock_keeps_a_version_from_those_who_may_delete_it(guarded: AwsService, database: Any) -> None:
    s3 = guarded.client("s3")
    key = f"{PREFIX}/locked"
    version = s3.put_object(Bucket=BACKUPS, Key=key, Body=b"kept")["VersionId"]
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=BACKUPS, Key=key, VersionId=version)
    assert s3.get_object(Bucket=BACKUPS, Key=key, VersionId=version)["Body"].read() == b"kept"
    s3.delete_object(Bucket=BACKUPS, Key=key, VersionId=version, BypassGovernanceRetention=True)

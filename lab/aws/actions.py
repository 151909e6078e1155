"""What a request amounts to in IAM's terms: one row an operation. What the table lacks, no host may do.

Rows follow the Service Authorization Reference (the tables of actions, resources and condition keys of each service).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from lab.aws.request import AwsRequest

_MAX_KEYS_BODY_BYTES = 1 << 20


@dataclass(frozen=True)
class Place:
    """The account and region that names are completed with."""

    account_id: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True)
class Needed:
    """One action on one resource that must be allowed, with what IAM would know of this request besides."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[AwsRequest, Place], Sequence[Needed]]


def needed(request: AwsRequest, place: Place) -> Sequence[Needed] | None:
    """All that must be allowed for a request; None when the table does not know it. Nothing is needed by some."""
    rule = OPERATIONS.get((request.service, request.operation))
    return None if rule is None else rule(request, place)


def _simple(action: str) -> Rule:
    """An operation on everything there is (`*`)."""
    return lambda request, place: [Needed(action)]


def _nothing(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return []


# --- SSM


def _parameter_arn(name: str, place: Place) -> str:
    if name.startswith("arn:"):
        return name
    # A version or label after a colon is not part of the name.
    return place.arn("ssm", "parameter/" + name.partition(":")[0].removeprefix("/"))


def _parameter(action: str) -> Rule:
    return lambda request, place: [Needed(action, _parameter_arn(str(request.params.get("Name", "")), place))]


def _parameters(action: str) -> Rule:
    return lambda request, place: [
        Needed(action, _parameter_arn(str(name), place)) for name in request.params.get("Names", ())
    ]


def _put_parameter(request: AwsRequest, place: Place) -> Sequence[Needed]:
    overwrite = "true" if request.params.get("Overwrite") else "false"
    arn = _parameter_arn(str(request.params.get("Name", "")), place)
    return [Needed("ssm:PutParameter", arn, {"ssm:Overwrite": overwrite})]


def _parameters_by_path(request: AwsRequest, place: Place) -> Sequence[Needed]:
    recursive = "true" if request.params.get("Recursive") else "false"
    arn = _parameter_arn(str(request.params.get("Path", "")), place)
    return [Needed("ssm:GetParametersByPath", arn, {"ssm:Recursive": recursive})]


def _managed_instance(action: str) -> Rule:
    return lambda request, place: [
        Needed(action, place.arn("ec2", f"instance/{request.params.get('InstanceId', '*')}"))
    ]


# --- S3


def _bucket_arn(request: AwsRequest) -> str:
    return f"arn:aws:s3:::{request.bucket}"


def _bucket(action: str) -> Rule:
    return lambda request, place: [Needed(action, _bucket_arn(request))]


def _list_bucket(request: AwsRequest, place: Place) -> Sequence[Needed]:
    context = {f"s3:{name}": request.query[name] for name in ("prefix", "delimiter") if name in request.query}
    return [Needed("s3:ListBucket", _bucket_arn(request), context)]


def _object(action: str, versioned: str | None = None) -> Rule:
    def rule(request: AwsRequest, place: Place) -> Sequence[Needed]:
        name = versioned if versioned and request.query.get("versionId") else action
        return [Needed(name, f"{_bucket_arn(request)}/{request.key}")]

    return rule


def _copy_object(request: AwsRequest, place: Place) -> Sequence[Needed]:
    source = (request.header("X-Amz-Copy-Source") or "").lstrip("/").partition("?")[0]
    return [
        Needed("s3:GetObject", f"arn:aws:s3:::{source}"),
        Needed("s3:PutObject", f"{_bucket_arn(request)}/{request.key}"),
    ]


def _delete_objects(request: AwsRequest, place: Place) -> Sequence[Needed]:
    root = ElementTree.fromstring(request.body)
    keys = [node.text or "" for node in root.iter() if node.tag.rpartition("}")[2] == "Key"]
    return [Needed("s3:DeleteObject", f"{_bucket_arn(request)}/{key}") for key in keys]


# --- EC2


def _values(request: AwsRequest, name: str) -> list[str]:
    """A list parameter of EC2's query protocol: `ResourceId.1`, `ResourceId.2`, ..."""
    return [str(value) for key, value in request.params.items() if re.fullmatch(rf"{name}\.\d+", key)]


_KINDS = {
    "i": "instance",
    "vol": "volume",
    "eni": "network-interface",
    "eipalloc": "elastic-ip",
    "snap": "snapshot",
    "sg": "security-group",
}


def ec2_arn(resource_id: str, place: Place) -> str:
    """The ARN of an EC2 resource by its id; of a kind that the table lacks, `*`."""
    kind = _KINDS.get(resource_id.partition("-")[0])
    return place.arn("ec2", f"{kind}/{resource_id}") if kind else "*"


def _ec2(action: str, *parameters: str) -> Rule:
    """An operation on the resources whose ids stand in these parameters."""

    def rule(request: AwsRequest, place: Place) -> Sequence[Needed]:
        ids = [str(request.params[name]) for name in parameters if request.params.get(name)]
        return [Needed(action, ec2_arn(one, place)) for one in ids] or [Needed(action)]

    return rule


def _create_tags(request: AwsRequest, place: Place) -> Sequence[Needed]:
    keys = {
        str(value): str(request.params.get(key.replace(".Key", ".Value"), ""))
        for key, value in request.params.items()
        if re.fullmatch(r"Tag\.\d+\.Key", key)
    }
    context = {f"aws:RequestTag/{key}": value for key, value in keys.items()}
    return [Needed("ec2:CreateTags", ec2_arn(one, place), context) for one in _values(request, "ResourceId")]


# --- Others


def _put_metrics(request: AwsRequest, place: Place) -> Sequence[Needed]:
    namespace = str(request.params.get("Namespace", ""))
    return [Needed("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})]


def _decrypt(request: AwsRequest, place: Place) -> Sequence[Needed]:
    key = str(request.params.get("KeyId", "*"))
    return [Needed("kms:Decrypt", key if key == "*" or key.startswith("arn:") else place.arn("kms", f"key/{key}"))]


OPERATIONS: dict[tuple[str, str], Rule] = {
    ("ssm", "GetParameter"): _parameter("ssm:GetParameter"),
    ("ssm", "GetParameters"): _parameters("ssm:GetParameters"),
    ("ssm", "GetParametersByPath"): _parameters_by_path,
    ("ssm", "GetParameterHistory"): _parameter("ssm:GetParameterHistory"),
    ("ssm", "PutParameter"): _put_parameter,
    ("ssm", "DeleteParameter"): _parameter("ssm:DeleteParameter"),
    ("ssm", "DeleteParameters"): _parameters("ssm:DeleteParameters"),
    ("ssm", "DescribeParameters"): _simple("ssm:DescribeParameters"),
    ("ssm", "UpdateInstanceInformation"): _managed_instance("ssm:UpdateInstanceInformation"),
    ("s3", "ListBuckets"): _simple("s3:ListAllMyBuckets"),
    ("s3", "HeadBucket"): _bucket("s3:ListBucket"),
    ("s3", "ListObjects"): _list_bucket,
    ("s3", "ListObjectsV2"): _list_bucket,
    ("s3", "ListObjectVersions"): _bucket("s3:ListBucketVersions"),
    ("s3", "ListMultipartUploads"): _bucket("s3:ListBucketMultipartUploads"),
    ("s3", "GetBucketLocation"): _bucket("s3:GetBucketLocation"),
    ("s3", "GetObject"): _object("s3:GetObject", "s3:GetObjectVersion"),
    ("s3", "HeadObject"): _object("s3:GetObject", "s3:GetObjectVersion"),
    ("s3", "PutObject"): _object("s3:PutObject"),
    ("s3", "CopyObject"): _copy_object,
    ("s3", "DeleteObject"): _object("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ("s3", "DeleteObjects"): _delete_objects,
    ("s3", "CreateMultipartUpload"): _object("s3:PutObject"),
    ("s3", "UploadPart"): _object("s3:PutObject"),
    ("s3", "CompleteMultipartUpload"): _object("s3:PutObject"),
    ("s3", "AbortMultipartUpload"): _object("s3:AbortMultipartUpload"),
    ("s3", "ListParts"): _object("s3:ListMultipartUploadParts"),
    ("s3", "GetObjectTagging"): _object("s3:GetObjectTagging"),
    ("s3", "PutObjectTagging"): _object("s3:PutObjectTagging"),
    ("sns", "Publish"): lambda request, place: [
        Needed("sns:Publish", str(request.params.get("TopicArn") or request.params.get("TargetArn") or "*"))
    ],
    ("ec2", "DescribeAddresses"): _simple("ec2:DescribeAddresses"),
    ("ec2", "DescribeInstances"): _simple("ec2:DescribeInstances"),
    ("ec2", "DescribeNetworkInterfaces"): _simple("ec2:DescribeNetworkInterfaces"),
    ("ec2", "DescribeTags"): _simple("ec2:DescribeTags"),
    ("ec2", "DescribeVolumes"): _simple("ec2:DescribeVolumes"),
    ("ec2", "AssociateAddress"): _ec2("ec2:AssociateAddress", "AllocationId", "InstanceId", "NetworkInterfaceId"),
    ("ec2", "DisassociateAddress"): _ec2("ec2:DisassociateAddress"),
    ("ec2", "AssignPrivateIpAddresses"): _ec2("ec2:AssignPrivateIpAddresses", "NetworkInterfaceId"),
    ("ec2", "AttachVolume"): _ec2("ec2:AttachVolume", "InstanceId", "VolumeId"),
    ("ec2", "CreateTags"): _create_tags,
    ("cloudwatch", "PutMetricData"): _put_metrics,
    # Anyone may ask who they are.
    ("sts", "GetCallerIdentity"): _nothing,
    ("kms", "Decrypt"): _decrypt,
}

"""The IAM actions that a request needs: one row for each operation that hosts call, or people on
them. Any other is denied to hosts.

Rows follow the Service Authorization Reference (the tables of actions, resources and condition keys of each service).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import unescape

from lab.aws.request import AwsRequest


@dataclass(frozen=True)
class Place:
    """The account and region of the lab."""

    account_id: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True)
class Needed:
    """One action on one resource that must be allowed, and the condition keys that this request adds."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[AwsRequest, Place], Sequence[Needed]]


def needed(request: AwsRequest, place: Place) -> Sequence[Needed] | None:
    """All that must be allowed for a request; None when the table has no row for its operation."""
    rule = OPERATIONS.get((request.service, request.operation))
    return None if rule is None else rule(request, place)


def _parameter_arn(request: AwsRequest, place: Place) -> str:
    name = str(request.params.get("Name", ""))
    if name.startswith("arn:"):
        return name
    # A version or label after a colon is not part of the name.
    parameter = "parameter/" + name.partition(":")[0].removeprefix("/")
    return replace(place, region=request.region or place.region).arn("ssm", parameter)


def _get_parameter(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return [Needed("ssm:GetParameter", _parameter_arn(request, place))]


def _put_parameter(request: AwsRequest, place: Place) -> Sequence[Needed]:
    overwrite = "true" if request.params.get("Overwrite") else "false"
    return [Needed("ssm:PutParameter", _parameter_arn(request, place), {"ssm:Overwrite": overwrite})]


def _object(request: AwsRequest, *actions: str) -> list[Needed]:
    return [Needed(action, f"arn:aws:s3:::{request.bucket}/{request.key}") for action in actions]


def _on_object(action: str) -> Rule:
    return lambda request, place: _object(request, action)


def _on_bucket(action: str) -> Rule:
    def rule(request: AwsRequest, place: Place) -> Sequence[Needed]:
        context = {f"s3:{name}": request.query[name] for name in ("delimiter", "prefix") if name in request.query}
        return [Needed(action, f"arn:aws:s3:::{request.bucket}", context)]

    return rule


def _read_object(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return _object(request, "s3:GetObjectVersion" if request.query.get("versionId") else "s3:GetObject")


# What a header of an upload asks for, beside the object itself.
_UPLOAD_HEADERS = {
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    "x-amz-tagging": "s3:PutObjectTagging",
}


def _write_object(request: AwsRequest, place: Place) -> Sequence[Needed]:
    more = {action for header, action in _UPLOAD_HEADERS.items() if request.header(header) is not None}
    return _object(request, "s3:PutObject", *sorted(more))


def _bypass(request: AwsRequest) -> list[str]:
    asked = (request.header("x-amz-bypass-governance-retention") or "").lower() == "true"
    return ["s3:BypassGovernanceRetention"] if asked else []


def _delete_action(version: object) -> str:
    return "s3:DeleteObjectVersion" if version else "s3:DeleteObject"


def _delete_object(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return _object(request, _delete_action(request.query.get("versionId")), *_bypass(request))


def _delete_objects(request: AwsRequest, place: Place) -> Sequence[Needed]:
    """All that the body names. S3 answers for each object; here one that is denied denies all."""
    found = []
    for one in re.findall(r"<Object>(.*?)</Object>", request.body.decode(), re.DOTALL):
        key, version = (re.search(rf"<{name}>(.*?)</{name}>", one, re.DOTALL) for name in ("Key", "VersionId"))
        named = f"arn:aws:s3:::{request.bucket}/{unescape(key[1]) if key else ''}"
        found += [Needed(action, named) for action in (_delete_action(version), *_bypass(request))]
    return found or [Needed("s3:DeleteObject", f"arn:aws:s3:::{request.bucket}/*")]


def _retain(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return _object(request, "s3:PutObjectRetention", *_bypass(request))


def _publish(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return [Needed("sns:Publish", str(request.params.get("TopicArn") or request.params.get("TargetArn") or "*"))]


def _get_caller_identity(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return []  # whoever has a key may ask whose it is, whatever the policies say


def _describe_addresses(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return [Needed("ec2:DescribeAddresses")]


_EC2_KINDS = {"AllocationId": "elastic-ip", "InstanceId": "instance", "NetworkInterfaceId": "network-interface"}


def _associate_address(request: AwsRequest, place: Place) -> Sequence[Needed]:
    resources = [
        place.arn("ec2", f"{kind}/{request.params[name]}")
        for name, kind in _EC2_KINDS.items()
        if request.params.get(name)
    ]
    return [Needed("ec2:AssociateAddress", resource) for resource in resources or ["*"]]


OPERATIONS: dict[tuple[str, str], Rule] = {
    ("ssm", "GetParameter"): _get_parameter,
    ("ssm", "PutParameter"): _put_parameter,
    ("s3", "GetObject"): _read_object,
    ("s3", "HeadObject"): _read_object,
    ("s3", "PutObject"): _write_object,
    ("s3", "CreateMultipartUpload"): _write_object,
    ("s3", "UploadPart"): _on_object("s3:PutObject"),
    ("s3", "CompleteMultipartUpload"): _on_object("s3:PutObject"),
    ("s3", "AbortMultipartUpload"): _on_object("s3:AbortMultipartUpload"),
    ("s3", "ListParts"): _on_object("s3:ListMultipartUploadParts"),
    ("s3", "DeleteObject"): _delete_object,
    ("s3", "DeleteObjects"): _delete_objects,
    ("s3", "GetObjectRetention"): _on_object("s3:GetObjectRetention"),
    ("s3", "PutObjectRetention"): _retain,
    ("s3", "GetObjectLegalHold"): _on_object("s3:GetObjectLegalHold"),
    ("s3", "PutObjectLegalHold"): _on_object("s3:PutObjectLegalHold"),
    ("s3", "HeadBucket"): _on_bucket("s3:ListBucket"),
    ("s3", "ListObjects"): _on_bucket("s3:ListBucket"),
    ("s3", "ListObjectsV2"): _on_bucket("s3:ListBucket"),
    ("s3", "ListObjectVersions"): _on_bucket("s3:ListBucketVersions"),
    ("s3", "ListMultipartUploads"): _on_bucket("s3:ListBucketMultipartUploads"),
    ("s3", "PutBucketLifecycle"): _on_bucket("s3:PutLifecycleConfiguration"),
    ("s3", "PutBucketObjectLockConfiguration"): _on_bucket("s3:PutBucketObjectLockConfiguration"),
    ("s3", "PutBucketPolicy"): _on_bucket("s3:PutBucketPolicy"),
    ("s3", "PutBucketReplication"): _on_bucket("s3:PutReplicationConfiguration"),
    ("s3", "PutBucketVersioning"): _on_bucket("s3:PutBucketVersioning"),
    ("sns", "Publish"): _publish,
    ("sts", "GetCallerIdentity"): _get_caller_identity,
    ("ec2", "DescribeAddresses"): _describe_addresses,
    ("ec2", "AssociateAddress"): _associate_address,
}

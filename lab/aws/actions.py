"""The IAM actions that a request needs: one row for each operation that hosts call, or people on
them. Any other is denied to hosts.

Rows follow the Service Authorization Reference (the tables of actions, resources and condition keys of each service).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
    return place.arn("ssm", "parameter/" + name.partition(":")[0].removeprefix("/"))


def _get_parameter(request: AwsRequest, place: Place) -> Sequence[Needed]:
    return [Needed("ssm:GetParameter", _parameter_arn(request, place))]


def _put_parameter(request: AwsRequest, place: Place) -> Sequence[Needed]:
    overwrite = "true" if request.params.get("Overwrite") else "false"
    return [Needed("ssm:PutParameter", _parameter_arn(request, place), {"ssm:Overwrite": overwrite})]


def _read_object(request: AwsRequest, place: Place) -> Sequence[Needed]:
    action = "s3:GetObjectVersion" if request.query.get("versionId") else "s3:GetObject"
    return [Needed(action, f"arn:aws:s3:::{request.bucket}/{request.key}")]


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
    ("sns", "Publish"): _publish,
    ("sts", "GetCallerIdentity"): _get_caller_identity,
    ("ec2", "DescribeAddresses"): _describe_addresses,
    ("ec2", "AssociateAddress"): _associate_address,
}

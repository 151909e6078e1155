"""Decides what hosts may do in AWS, by the policies of their role.

A request that is signed with a key from an instance's metadata is turned into actions on resources (`actions.py`), and
an IAM simulator decides on each, by the role's inline policies and the policy of the bucket. The lab has no attached
policies: its provider refuses them. A permissions boundary is kept and not asked: unit tests show that it takes nothing
from hosts. The signature must be right, the key must not have expired, and its instance must still exist. The operator
reaches the API by loopback, not by the TLS proxy that hosts use: the operator's requests pass.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lab.aws.actions import Needed, Place, needed
from lab.aws.answers import AwsError, denied
from lab.aws.credentials import KEY_PREFIX, Credentials, HostKey
from lab.aws.request import AwsRequest, Protocol
from lab.aws.signature import signature_fault
from lab.aws.simulator import Document, IamSimulator, Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import StartResponse


_SETTLED_S = 2.0


class Gate:
    """The layer of the API that decides. `client` gives boto3 clients of the operator, which read the policies."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        simulator: IamSimulator,
        place: Place,
        client: Callable[[str], Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._simulator = simulator
        self._place = place
        # To make a client takes longer than most calls.
        self._client = cache(client)
        self._clock = clock
        self.roles = Roles(self._client)

    def handle(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes] | None:
        """Let a request pass (None) or refuse it. :raises AwsError: with the code of the service's protocol."""
        credential = request.credential
        if credential is None:
            raise _unauthenticated(request, "the request is not signed")
        key = self._credentials.find(credential.access_key)
        if key is None:
            if request.from_host or credential.access_key.startswith(KEY_PREFIX):
                raise _unauthenticated(request, "the security token included in the request is invalid")
            if request.service == "iam" and not request.read_only:
                self.roles.forget()
            return None
        self._authenticate(request, key)
        everything = needed(request, self._place)
        principal = self._principal_arn(key)
        if everything is None:
            raise denied(
                request,
                f"User: {principal} may not call {request.service}:{request.operation or request.method}: "
                "the lab's table of actions (lab/aws/actions.py) has no row for it",
            )
        for one in everything:
            self._authorize(request, key, principal, one)
        if request.service == "s3" and request.operation in ("GetObject", "HeadObject") and not self._exists(request):
            # Who may not list the bucket is not told that there is no such object.
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
            self._authorize(request, key, principal, Needed("s3:ListBucket", f"arn:aws:s3:::{request.bucket}"))
        return None

    def _exists(self, request: AwsRequest) -> bool:
        s3 = self._client("s3")
        try:
            s3.head_object(Bucket=request.bucket, Key=request.key)
        except s3.exceptions.ClientError:
            return False
        return True

    def _principal_arn(self, key: HostKey) -> str:
        return f"arn:aws:sts::{self._place.account_id}:assumed-role/{key.role_name}/{key.instance_id}"

    def _authenticate(self, request: AwsRequest, key: HostKey) -> None:
        if self._credentials.expired(key):
            code = "ExpiredTokenException" if request.protocol is Protocol.JSON else "ExpiredToken"
            raise AwsError(code, "The security token included in the request is expired", 400)
        if request.header("X-Amz-Security-Token") != key.token:
            raise _unauthenticated(request, "the security token included in the request is invalid")
        fault = signature_fault(request, key.secret_key, self._clock())
        if fault is not None:
            json_code = "InvalidSignatureException"
            code = json_code if request.protocol is Protocol.JSON else "SignatureDoesNotMatch"
            raise AwsError(code, fault, 403)

    def _authorize(self, request: AwsRequest, key: HostKey, principal: str, one: Needed) -> None:
        question = Question(
            principal_arn=principal,
            action=one.action,
            resource_arn=one.resource,
            account_id=self._place.account_id,
            identity_policies=self.roles.of(key.role_name).policies,
            resource_policy=self._bucket_policy(request),
            context={**self._context(request, key), **self._tags(one.resource), **one.context},
        )
        decision = self._simulator.decide(question)
        if decision.allowed:
            return
        why = (
            "with an explicit deny"
            if decision.explicit
            else f"because no identity-based policy allows the {one.action} action"
        )
        raise denied(
            request,
            f"User: {principal} is not authorized to perform: {one.action} on resource: {one.resource} {why}",
        )

    def _context(self, request: AwsRequest, key: HostKey) -> dict[str, str]:
        role = f"arn:aws:iam::{self._place.account_id}:role/{key.role_name}"
        context = {
            "aws:PrincipalArn": role,
            "aws:PrincipalAccount": self._place.account_id,
            "aws:RequestedRegion": self._place.region,
            # Hosts reach the API by the TLS proxy only.
            "aws:SecureTransport": "true" if request.from_host else "false",
            "ec2:SourceInstanceARN": self._place.arn("ec2", f"instance/{key.instance_id}"),
        }
        if request.source_address:
            context["aws:SourceIp"] = request.source_address
        return context

    def _tags(self, arn: str) -> dict[str, str]:
        """The tags of an EC2 resource, for conditions on them."""
        service, resource_id = arn.split(":")[2:3], arn.rpartition("/")[2]
        if service != ["ec2"]:
            return {}
        tags = self._client("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": [resource_id]}])
        return {f"{prefix}:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags["Tags"] for prefix in ("aws", "ec2")}

    def _bucket_policy(self, request: AwsRequest) -> Document | None:
        return bucket_policy(self._client("s3"), request.bucket) if request.service == "s3" and request.bucket else None


def bucket_policy(s3: Any, bucket: str) -> Document | None:
    """The policy of a bucket; None when it has none, or does not exist."""
    try:
        document: Document = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except s3.exceptions.ClientError:
        return None
    return document


@dataclass(frozen=True)
class Role:
    """Who may assume a role, and its inline policies by name."""

    trust: Document
    policies: Mapping[str, Document]


_NO_ROLE = Role({"Version": "2012-10-17", "Statement": []}, {})


class Roles:
    """The roles with their policies, read from the API and kept until something in IAM changes."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, Role] = {}
        self._changed = 0.0

    def forget(self) -> None:
        """To be called before something in IAM changes."""
        with self._lock:
            self._known.clear()
            self._changed = time.monotonic()

    def of(self, role: str) -> Role:
        """The role; one that nobody may assume, without policies, when there is none of this name."""
        with self._lock:
            known = self._known.get(role)
        if known is None:
            known = self._read(role)
            with self._lock:
                # What was read during a change may be older than the change: it is not kept.
                if time.monotonic() - self._changed > _SETTLED_S:
                    self._known[role] = known
        return known

    def _read(self, role: str) -> Role:
        iam = self._client("iam")
        try:
            trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
            names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        except iam.exceptions.NoSuchEntityException:
            return _NO_ROLE
        policies = {
            name: _document(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]) for name in names
        }
        return Role(_document(trust), policies)


def _document(value: Any) -> Any:
    return json.loads(unquote(value)) if isinstance(value, str) else value


def _unauthenticated(request: AwsRequest, message: str) -> AwsError:
    match request.protocol:
        case Protocol.JSON | Protocol.CBOR:
            return AwsError("UnrecognizedClientException", message, 400)
        case Protocol.EC2:
            return AwsError("AuthFailure", message, 401)
        case Protocol.S3:
            return AwsError("InvalidAccessKeyId", message, 403)
        case _:
            return AwsError("InvalidClientTokenId", message, 403)

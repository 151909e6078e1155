"""A request to AWS, read from WSGI: its signer, its service, its operation and parameters.

Understands the protocols that the estate's hosts and tools speak: query and EC2 query (form), JSON 1.0/1.1 (target
header), Smithy RPC v2 CBOR (CloudWatch from new SDKs), and S3's REST in path and virtual-hosted style.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request")
_SIGNED_HEADERS = re.compile(r"SignedHeaders=([^,\s]+)")
_SIGNATURE = re.compile(r"Signature=([0-9a-f]+)")
_S3_HOST = re.compile(r"^(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com$")
_SERVICE_HOST = re.compile(r"^(?P<service>[a-z0-9-]+)(?:\.[a-z0-9-]+)?\.amazonaws\.com$")
_CBOR_PATH = re.compile(r"^/service/[^/]+/operation/(\w+)$")
_MAX_BODY_BYTES = 1 << 20
# Names of services by their host or credential scope that differ from their IAM prefix.
_SERVICE_NAMES = {"monitoring": "cloudwatch"}
_READ_ONLY = re.compile(r"^(Describe|Get|List|Head|Search|Simulate|Batch[GD]e[ts])")


class Protocol(StrEnum):
    """The protocol of a service, which decides the form of its errors."""

    EC2 = "ec2"
    QUERY = "query"
    JSON = "json"
    CBOR = "cbor"
    S3 = "s3"


@dataclass(frozen=True)
class Credential:
    """What a request says about its signature."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass
class AwsRequest:
    """One request. Reading `params` reads a form or JSON body, and puts it back for the next reader."""

    environ: WSGIEnvironment
    credential: Credential | None
    service: str
    bucket: str | None = None
    key: str | None = None
    virtual_hosted: bool = False
    query: dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    def header(self, name: str) -> str | None:
        """A header by its usual name."""
        plain = name.upper().replace("-", "_")
        value = self.environ.get(plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}")
        return None if value is None else str(value)

    @property
    def region(self) -> str | None:
        """The region that it was signed for; None when it is not signed."""
        return self.credential.region if self.credential else None

    @property
    def from_host(self) -> bool:
        """Whether it came through the TLS proxy that hosts use (which adds their address)."""
        return self.source_address is not None

    @property
    def source_address(self) -> str | None:
        """The address of the host that sent it, when it came through the TLS proxy."""
        forwarded = self.header("X-Forwarded-For")
        return forwarded.split(",")[-1].strip() if forwarded else None

    @cached_property
    def protocol(self) -> Protocol:
        if self.service == "s3":
            return Protocol.S3
        if self.header("X-Amz-Target"):
            return Protocol.JSON
        if _CBOR_PATH.match(self.environ.get("PATH_INFO", "")):
            return Protocol.CBOR
        return Protocol.EC2 if self.service == "ec2" else Protocol.QUERY

    @cached_property
    def body(self) -> bytes:
        """The whole body of a request that is not S3's (those are streamed)."""
        if self.environ.get("wsgi.input_terminated"):
            data = self.environ["wsgi.input"].read(_MAX_BODY_BYTES + 1)
        else:
            data = self.environ["wsgi.input"].read(int(self.environ.get("CONTENT_LENGTH") or 0))
        self.environ["wsgi.input"] = io.BytesIO(data)
        self.environ["CONTENT_LENGTH"] = str(len(data))
        return bytes(data)

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters: nested for JSON, flat (`InstanceId.1`) for query, those of the URL for S3 and CBOR."""
        match self.protocol:
            case Protocol.S3 | Protocol.CBOR:
                return dict(self.query)
            case Protocol.JSON:
                document = json.loads(self.body or b"{}")
                return document if isinstance(document, dict) else {}
            case _:
                form = dict(parse_qsl(self.body.decode(), keep_blank_values=True))
                return {**self.query, **form}

    @cached_property
    def operation(self) -> str:
        """The API operation, e.g. `PutParameter`; for S3 by method, path and query; "" if unknown."""
        match self.protocol:
            case Protocol.S3:
                return s3_operation(self.method, self.bucket, self.key, self.query, self.header("X-Amz-Copy-Source"))
            case Protocol.JSON:
                return (self.header("X-Amz-Target") or "").rpartition(".")[2]
            case Protocol.CBOR:
                match = _CBOR_PATH.match(self.environ["PATH_INFO"])
                return match.group(1) if match else ""
            case _:
                return str(self.params.get("Action", ""))

    @property
    def instance_ids(self) -> frozenset[str]:
        """The instances that an EC2 call names."""
        if self.service != "ec2":
            return frozenset()
        return frozenset(str(value) for name, value in self.params.items() if name.partition(".")[0] == "InstanceId")

    @property
    def read_only(self) -> bool:
        """Whether it is certain to change nothing."""
        return bool(_READ_ONLY.match(self.operation))


def read_request(environ: WSGIEnvironment) -> AwsRequest:
    """Read a request's head; its body is read when it is used."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    credential = _credential(environ, query)
    host = str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()
    s3_host = _S3_HOST.match(host)
    service = _service(host, bool(s3_host), credential)
    request = AwsRequest(environ=environ, credential=credential, service=service, query=query)
    if service == "s3":
        path = unquote(_raw_path(environ))
        if s3_host and s3_host["bucket"]:
            request.bucket, request.virtual_hosted = s3_host["bucket"], True
            request.key = path.lstrip("/") or None
        else:
            bucket, _, key = path.lstrip("/").partition("/")
            request.bucket, request.key = bucket or None, key or None
    return request


def _credential(environ: WSGIEnvironment, query: dict[str, str]) -> Credential | None:
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    headers, signature = _SIGNED_HEADERS.search(header), _SIGNATURE.search(header)
    signed_headers = headers.group(1) if headers else query.get("X-Amz-SignedHeaders", "")
    found = _CREDENTIAL.search(header) or _CREDENTIAL.match(f"Credential={query.get('X-Amz-Credential', '')}")
    if not found:
        return None
    access_key, date, region, service = found.groups()
    return Credential(
        access_key=access_key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(signed_headers.split(";")),
        signature=signature.group(1) if signature else query.get("X-Amz-Signature", ""),
    )


def _service(host: str, is_s3_host: bool, credential: Credential | None) -> str:
    if is_s3_host:
        return "s3"
    if credential is not None:
        return _SERVICE_NAMES.get(credential.service, credential.service)
    match = _SERVICE_HOST.match(host)
    return _SERVICE_NAMES.get(match["service"], match["service"]) if match else "s3"


def _raw_path(environ: WSGIEnvironment) -> str:
    return str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/")).partition("?")[0]


_BUCKET_QUERIES = {
    "acl": "Acl",
    "cors": "Cors",
    "encryption": "Encryption",
    "lifecycle": "Lifecycle",
    "location": "Location",
    "logging": "Logging",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "OwnershipControls",
    "policy": "Policy",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "Replication",
    "tagging": "Tagging",
    "versioning": "Versioning",
    "website": "Website",
}
_OBJECT_QUERIES = {"acl": "Acl", "legal-hold": "LegalHold", "retention": "Retention", "tagging": "Tagging"}
_VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete"}


def s3_operation(
    method: str, bucket: str | None, key: str | None, query: dict[str, str], copy_source: str | None = None
) -> str:
    """The name of an S3 operation, as in its API reference; "" for one that the lab does not know."""
    if bucket is None:
        return "ListBuckets" if method == "GET" else ""
    if key is None:
        for name, suffix in _BUCKET_QUERIES.items():
            if name in query and method in _VERBS:
                return f"{_VERBS[method]}Bucket{suffix}"
        if method == "POST":
            return "DeleteObjects" if "delete" in query else ""
        if method == "GET" and "uploads" in query:
            return "ListMultipartUploads"
        if method == "GET" and "versions" in query:
            return "ListObjectVersions"
        return {
            "GET": "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects",
            "HEAD": "HeadBucket",
            "PUT": "CreateBucket",
            "DELETE": "DeleteBucket",
        }.get(method, "")
    if "uploadId" in query:
        return {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }.get(method, "")
    if method == "POST":
        return "CreateMultipartUpload" if "uploads" in query else ""
    for name, suffix in _OBJECT_QUERIES.items():
        if name in query and method in _VERBS:
            return f"{_VERBS[method]}Object{suffix}"
    if method == "PUT" and copy_source:
        return "CopyObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}.get(method, "")

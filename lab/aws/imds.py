"""The instance metadata service (IMDSv2) of all instances: the source address of a request says which instance asks.

Tokens are bound to the instance and expire. `HttpPutResponseHopLimit` has no effect: the TTL of answers is not set.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv4Network
from socket import socket
from typing import Any
from urllib.parse import unquote

from lab.aws.credentials import Credentials
from lab.aws.model import AwsSnapshot, Instance

log = logging.getLogger(__name__)

ADDRESS = IPv4Address("169.254.169.254")
PORT = 80
MAX_TOKEN_TTL_S = 21_600
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"
_VERSION = re.compile(r"latest|1\.0|\d{4}-\d{2}-\d{2}")
_VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")

Tree = Mapping[str, Any]
"""Folders are mappings; files are texts, or functions that return bytes (none when there is no such file)."""


@dataclass(frozen=True, kw_only=True)
class HostMetadata:
    """What the metadata of one instance is made from."""

    instance: Instance
    subnet_cidr: IPv4Network
    vpc_cidr: IPv4Network
    region: str
    zone_id: str
    account_id: str
    user_data: Callable[[], bytes]
    """Read only when the instance asks for it; empty when it has none."""


Lookup = Callable[[IPv4Address], HostMetadata | None]


def metadata_of(
    snapshot: AwsSnapshot, address: IPv4Address, *, region: str, account_id: str, user_data: Callable[[str], bytes]
) -> HostMetadata | None:
    """The metadata for requests from an address; None when no instance has it.

    :param user_data: instance id -> raw user data (see `lab.aws.snapshot.read_user_data`).
    """
    instance = snapshot.instance_at(address)
    if instance is None:
        return None
    return HostMetadata(
        instance=instance,
        subnet_cidr=snapshot.subnet(instance.subnet_id).cidr,
        vpc_cidr=snapshot.vpc(instance.vpc_id).cidr,
        region=region,
        zone_id=snapshot.subnet(instance.subnet_id).zone_id,
        account_id=account_id,
        user_data=partial(user_data, instance.id),
    )


class Tokens:
    """The tokens that were issued. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, float]] = {}

    def issue(self, instance_id: str, ttl_s: int) -> str:
        """A new token for an instance."""
        now, token = self._clock(), secrets.token_urlsafe(42)
        with self._lock:
            self._known = {key: value for key, value in self._known.items() if value[1] > now}
            self._known[token] = (instance_id, now + ttl_s)
        return token

    def valid(self, token: str, instance_id: str) -> bool:
        """Whether a token is this instance's and not expired."""
        with self._lock:
            owner, expires = self._known.get(token, ("", 0.0))
        return owner == instance_id and self._clock() < expires


def tree(host: HostMetadata, credentials: Credentials) -> Tree:
    """Everything that the service has for an instance, below the version."""
    return {
        "dynamic": {"instance-identity": {"document": _identity_document(host)}},
        "meta-data": _meta_data(host, credentials),
        "user-data": host.user_data,
    }


def _meta_data(host: HostMetadata, credentials: Credentials) -> Tree:
    instance = host.instance
    private_ip = str(instance.private_ip)
    local_name = f"ip-{private_ip.replace('.', '-')}.ec2.internal"
    files: dict[str, Any] = {
        "ami-id": instance.image_id,
        "ami-launch-index": str(instance.launch_index),
        "block-device-mapping": {"ami": "/dev/xvda", "root": "/dev/xvda"},
        "hostname": local_name,
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": local_name,
        "local-ipv4": private_ip,
        "mac": instance.mac,
        "network": {"interfaces": {"macs": {instance.mac: _interface(host, local_name)}}},
        "placement": {
            "availability-zone": instance.zone,
            "availability-zone-id": host.zone_id,
            "region": host.region,
        },
        "profile": "default-hvm",
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if instance.public_ip:
        files["public-ipv4"] = str(instance.public_ip)
        files["public-hostname"] = _public_name(instance.public_ip)
    if instance.metadata.tags:
        files["tags"] = {"instance": dict(instance.tags)}
    if instance.role_name:
        files["iam"] = _iam(instance, instance.role_name, credentials)
    return files


def _public_name(address: IPv4Address) -> str:
    return f"ec2-{str(address).replace('.', '-')}.compute-1.amazonaws.com"


def _interface(host: HostMetadata, local_name: str) -> Tree:
    instance = host.instance
    addresses = [instance.private_ip, *instance.secondary_ips]
    files: dict[str, Any] = {
        "device-number": "0",
        "interface-id": instance.eni_id,
        "local-hostname": local_name,
        "local-ipv4s": "\n".join(map(str, addresses)),
        "mac": instance.mac,
        "owner-id": host.account_id,
        "security-group-ids": "\n".join(instance.security_group_ids),
        "subnet-id": instance.subnet_id,
        "subnet-ipv4-cidr-block": str(host.subnet_cidr),
        "vpc-id": instance.vpc_id,
        "vpc-ipv4-cidr-block": str(host.vpc_cidr),
        "vpc-ipv4-cidr-blocks": str(host.vpc_cidr),
    }
    if instance.public_ip:
        files["public-hostname"] = _public_name(instance.public_ip)
        files["public-ipv4s"] = str(instance.public_ip)
        files["ipv4-associations"] = {str(instance.public_ip): str(instance.private_ip)}
    return files


def _iam(instance: Instance, role: str, credentials: Credentials) -> Tree:
    key = credentials.issue(instance.id, role)
    updated = _time(key.issued)
    return {
        "info": json.dumps(
            {
                "Code": "Success",
                "LastUpdated": updated,
                "InstanceProfileArn": instance.profile_arn,
                "InstanceProfileId": "AIPALAB",
            }
        ),
        "security-credentials": {
            role: json.dumps(
                {
                    "Code": "Success",
                    "LastUpdated": updated,
                    "Type": "AWS-HMAC",
                    "AccessKeyId": key.access_key,
                    "SecretAccessKey": key.secret_key,
                    "Token": key.token,
                    "Expiration": _time(key.expires),
                }
            )
        },
    }


def _identity_document(host: HostMetadata) -> str:
    instance = host.instance
    document = {
        "accountId": host.account_id,
        "architecture": instance.architecture,
        "availabilityZone": instance.zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": instance.launch_time,
        "privateIp": str(instance.private_ip),
        "region": host.region,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def at(files: Tree, path: str) -> str | bytes | None:
    """A file's content or a folder's listing, as the service gives them; None when there is neither.

    Keys may hold slashes and colons (tags do), so the longest key that fits is taken.
    """
    rest = unquote(path).strip("/")
    node: Any = files
    while rest:
        if not isinstance(node, Mapping):
            return None
        fitting = [key for key in node if rest == key or rest.startswith(f"{key}/")]
        if not fitting:
            return None
        key = max(fitting, key=len)
        node, rest = node[key], rest[len(key) :].strip("/")
    if isinstance(node, Mapping):
        return "\n".join(f"{key}/" if isinstance(value, Mapping) else key for key, value in node.items())
    if isinstance(node, str):
        return node
    return node() or None


class MetadataService:
    """Answers requests; `serve` makes it listen on a socket."""

    def __init__(self, lookup: Lookup, credentials: Credentials, tokens: Tokens | None = None) -> None:
        self._lookup = lookup
        self._credentials = credentials
        self._tokens = tokens or Tokens()

    def token(self, source: IPv4Address, ttl: str | None, *, forwarded: bool = False) -> tuple[int, str | bytes]:
        """Answer `PUT /latest/api/token`: status and body. A request that a proxy forwarded gets no token."""
        host = self._lookup(source)
        if host is None:
            return 404, ""
        if not host.instance.metadata.enabled or forwarded:
            return 403, ""
        asked = ttl or ""
        if not asked.isdecimal() or not 1 <= int(asked) <= MAX_TOKEN_TTL_S:
            return 400, ""
        return 200, self._tokens.issue(host.instance.id, int(asked))

    def get(self, source: IPv4Address, path: str, token: str | None) -> tuple[int, str | bytes]:
        """Answer a GET: status and body."""
        host = self._lookup(source)
        if host is None:
            return 404, ""
        options = host.instance.metadata
        if not options.enabled:
            return 403, ""
        if token is None and options.tokens_required:
            return 401, ""
        if token is not None and not self._tokens.valid(token, host.instance.id):
            return 401, ""
        version, _, rest = path.partition("?")[0].strip("/").partition("/")
        if not version:
            return 200, "\n".join(_VERSIONS)
        if not _VERSION.fullmatch(version):
            return 404, ""
        found = at(tree(host, self._credentials), rest)
        return (404, "") if found is None else (200, found)

    @contextmanager
    def serve(self, listener: socket) -> Iterator[int]:
        """Serve on a socket that listens already, in the hosts' network. Yields its port."""
        service = self

        class Handler(_Handler):
            metadata = service

        server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        server.server_address = listener.getsockname()
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="metadata", daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    metadata: MetadataService
    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    # A host that is killed leaves its connection open: its thread must end all the same.
    timeout = 60

    @property
    def _source(self) -> IPv4Address:
        return IPv4Address(self.client_address[0])

    def do_PUT(self) -> None:
        """Issue a token."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.partition("?")[0].rstrip("/") != "/latest/api/token":
            self._answer(404, "")
            return
        ttl = self.headers.get(_TTL_HEADER)
        status, body = self.metadata.token(self._source, ttl, forwarded="X-Forwarded-For" in self.headers)
        self._answer(status, body, {_TTL_HEADER: ttl} if status == 200 and ttl else {})

    def do_GET(self) -> None:
        """Answer with what is at a path."""
        self._answer(*self.metadata.get(self._source, self.path, self.headers.get(_TOKEN_HEADER)))

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def _answer(self, status: int, body: str | bytes, headers: Mapping[str, str] | None = None) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s %s", self.client_address[0], format % args)

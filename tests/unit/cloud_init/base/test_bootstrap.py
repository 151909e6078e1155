"""The bootstrap of the user data, against a metadata service and a bucket that check what they are asked."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.user_data import user_data
from lab.aws.request import AwsRequest, read_request
from lab.aws.signature import signature_fault
from tests.unit.cloud_init.rendering import estate

CONTEXT = estate()["app1"]
BUCKET = CONTEXT.scope.artifact_bucket
ROLE = {"AccessKeyId": "ASIA1", "SecretAccessKey": "known to the host", "Token": "session/token+=="}
METADATA = "/latest/"
ROLES = f"{METADATA}meta-data/iam/security-credentials/"
POINTER = "/pointers/app"


@dataclass
class Aws:
    """A host's metadata service and its bucket. Objects by path; a path that is not there is refused as S3 does."""

    objects: dict[str, bytes] = field(default_factory=dict)
    secret: str = ROLE["SecretAccessKey"]
    """What AWS knows the host's secret key as."""
    late: dict[str, int] = field(default_factory=dict)
    """So many requests for a path are refused first."""
    cut: set[str] = field(default_factory=set)
    """The next answer for these paths ends after half of its body."""
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What was wrong with requests."""

    def answer(self, method: str, path: str, headers: Message) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.late.get(path, 0) > 0:
            self.late[path] -= 1
            return 403, b"not yet"
        if path.startswith(METADATA):
            return self._metadata(method, path, headers)
        fault = self._fault(method, path, headers)
        if fault:
            self.faults.append(fault)
            return 403, fault.encode()
        return (200, self.objects[path]) if path in self.objects else (403, b"AccessDenied")

    def _metadata(self, method: str, path: str, headers: Message) -> tuple[int, bytes]:
        if (method, path) == ("PUT", f"{METADATA}api/token"):
            return (200, b"imds-token") if headers.get("X-aws-ec2-metadata-token-ttl-seconds") else (400, b"")
        if headers.get("X-aws-ec2-metadata-token") != "imds-token":
            return 401, b"IMDSv2 only"
        return {ROLES: (200, b"ha-dev-app"), f"{ROLES}ha-dev-app": (200, json.dumps(ROLE).encode())}[path]

    def _fault(self, method: str, path: str, headers: Message) -> str | None:
        request = _request(method, path, headers)
        if (request.service, request.bucket) != ("s3", BUCKET):
            return f"not this bucket: {request.service} {request.bucket}"
        if headers.get("X-Amz-Security-Token") != ROLE["Token"]:
            return "no session token"
        return signature_fault(request, self.secret, time.time())


def _request(method: str, path: str, headers: Message) -> AwsRequest:
    environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "RAW_URI": path, "QUERY_STRING": ""}
    return read_request({**environ, "CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()})


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def port(aws: Aws) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = aws.answer(self.command, self.path, self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status == 200 and self.path in aws.cut:
                aws.cut.remove(self.path)
                body = body[: len(body) // 2]
            self.wfile.write(body)
            self.close_connection = True

        do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@cache
def program() -> str:
    """The bootstrap as it is in the host's user data."""
    files = yaml.safe_load(user_data(CONTEXT))["write_files"]
    text: str = next(file["content"] for file in files if file["path"] == "/usr/local/sbin/ha-bootstrap")
    return text


class Host:
    """A host with the bootstrap, whose AWS is at a port of this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.state = folder / "var/lib/ha"
        self.bundles = self.state / "bundles"
        self._program = program()
        for old, new in (
            ("http://169.254.169.254/", f"http://127.0.0.1:{port}/"),
            ("https://{host}/", f"http://127.0.0.1:{port}/"),
            ("/var/lib/ha/", f"{self.state}/"),
            ("time.sleep(2)", "time.sleep(0.01)"),
        ):
            assert old in self._program
            self._program = self._program.replace(old, new)

    def run(self, *words: str, timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
        python = [sys.executable, "-I", "-c", self._program, *words]
        return subprocess.run(python, capture_output=True, text=True, timeout=timeout_s, check=False, env={})

    def observe(self, statement: str) -> None:
        """Run a statement in the bootstrap's process first."""
        self._program = f"import os; {statement}\n{self._program}"

    def unpacked(self) -> set[str]:
        """All that is in the folder of the bundles, half-made things too."""
        return {one.name for one in self.bundles.iterdir()} if self.bundles.exists() else set()


@pytest.fixture
def host(tmp_path: Path, port: int) -> Host:
    return Host(tmp_path, port)


def archive(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content.encode()))
    return packed.getvalue()


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def bundle_of(version: str) -> bytes:
    """A bundle whose `ha-bundle` says what it is and how it was called. Larger than what one read of a socket gives."""
    return archive(
        {
            "common/usr/local/sbin/ha-bundle": f"#!/bin/sh\necho {version} runs as $0 $*\n",
            "common/etc/large": "x" * 300_000,
        }
    )


def put(aws: Aws, body: bytes, digest: str = "") -> str:
    """Put a bundle into the bucket, by its digest unless another one is given."""
    digest = digest or digest_of(body)
    aws.objects[f"/bundles/app/{digest}.tar"] = body
    return digest


def point(aws: Aws, digest: str) -> None:
    aws.objects[POINTER] = json.dumps({"bundle": digest, "release": "f" * 64}).encode()


def ran(host: Host, digest: str, version: str) -> str:
    """What a boot prints last when it hands over to a bundle."""
    return f"{version} runs as {host.bundles / digest}/common/usr/local/sbin/ha-bundle boot\n"


def test_the_pointer_is_read_with_a_request_that_aws_accepts(aws: Aws, host: Host) -> None:
    point(aws, "ab" * 32)
    done = host.run("pointer")
    assert (done.returncode, json.loads(done.stdout)["bundle"]) == (0, "ab" * 32)
    assert aws.faults == []
    assert aws.asked == [f"{METADATA}api/token", ROLES, f"{ROLES}ha-dev-app", POINTER]


def test_another_secret_key_is_not_accepted(aws: Aws, host: Host) -> None:
    """Or the tests here would accept any signature."""
    point(aws, "ab" * 32)
    aws.secret = "another"
    assert host.run("pointer").returncode != 0
    assert aws.faults == ["the request signature does not match"]


def test_a_first_boot_unpacks_the_pointers_bundle_and_hands_over_to_it(aws: Aws, host: Host) -> None:
    digest = put(aws, bundle_of("v1"))
    point(aws, digest)
    done = host.run()
    assert (done.returncode, done.stdout) == (0, ran(host, digest, "v1"))
    assert host.unpacked() == {digest}
    assert (host.bundles / digest / "common/etc/large").read_text() == "x" * 300_000
    assert aws.faults == []


def test_a_first_boot_waits_for_the_role_the_pointer_and_the_bundle(aws: Aws, host: Host) -> None:
    digest = put(aws, bundle_of("v1"))
    point(aws, digest)
    bundle = f"/bundles/app/{digest}.tar"
    aws.late = {f"{METADATA}api/token": 1, ROLES: 2, POINTER: 2, bundle: 1}
    aws.cut = {bundle}
    done = host.run()
    assert done.returncode == 0
    *waits, last = done.stdout.splitlines(keepends=True)
    assert last == ran(host, digest, "v1")
    assert len(waits) == 7
    assert all(line.startswith(f"waiting for s3://{BUCKET}/pointers/app: ") for line in waits)
    assert host.unpacked() == {digest}


def test_a_damaged_bundle_is_never_unpacked(aws: Aws, host: Host) -> None:
    wanted = put(aws, bundle_of("another"), digest_of(bundle_of("v1")))
    done = host.run("bundle", wanted)
    assert done.returncode != 0
    assert f"refused: bundle {wanted} is damaged" in done.stderr
    assert host.unpacked() == set()


def test_a_first_boot_that_meets_a_damaged_bundle_waits_for_a_whole_one(aws: Aws, host: Host) -> None:
    digest = put(aws, bundle_of("another"), digest_of(bundle_of("v1")))
    point(aws, digest)
    with pytest.raises(subprocess.TimeoutExpired):
        host.run(timeout_s=1)
    assert host.unpacked() == set()
    put(aws, bundle_of("v1"))
    assert host.run().stdout == ran(host, digest, "v1")


def test_half_a_download_leaves_nothing_and_the_next_one_is_whole(aws: Aws, host: Host) -> None:
    digest = put(aws, bundle_of("v1"))
    aws.cut = {f"/bundles/app/{digest}.tar"}
    assert host.run("bundle", digest).returncode != 0
    assert host.unpacked() == set()
    assert host.run("bundle", digest).returncode == 0
    assert host.unpacked() == {digest}


def test_a_bundle_is_on_the_disk_before_it_has_its_name(aws: Aws, host: Host) -> None:
    """Or, after a power cut, its folder might be in place and its files empty, and nobody would fetch it again."""
    host.observe("os.sync = lambda: print('synced')")
    host.observe("rename = os.rename; os.rename = lambda *names: (print('renamed'), rename(*names))")
    done = host.run("bundle", put(aws, bundle_of("v1")))
    assert (done.returncode, done.stdout.split()) == (0, ["synced", "renamed"])


@pytest.mark.parametrize(
    "body",
    [
        bundle_of("v1")[:-150_000],
        archive({"common/etc/hosts": "fine", "../../../outside": "not"}),
        archive({"common/etc/hosts": "a file", "common/etc/hosts/below": "a file below a file"}),
    ],
    ids=["ends early", "leads out", "cannot be unpacked"],
)
def test_what_cannot_be_unpacked_as_a_whole_is_not_unpacked_at_all(
    aws: Aws, host: Host, body: bytes, tmp_path: Path
) -> None:
    digest = put(aws, body)
    assert host.run("bundle", digest).returncode != 0
    assert host.unpacked() == set()
    assert not list(tmp_path.rglob("outside"))


def test_a_bundle_that_is_here_is_not_asked_for(aws: Aws, host: Host) -> None:
    digest = put(aws, bundle_of("v1"))
    assert host.run("bundle", digest).returncode == 0
    aws.asked.clear()
    assert host.run("bundle", digest).returncode == 0
    assert aws.asked == []


def test_a_bundle_of_another_tier_is_not_found(aws: Aws, host: Host) -> None:
    digest = digest_of(bundle_of("v1"))
    aws.objects[f"/bundles/db/{digest}.tar"] = bundle_of("v1")
    assert host.run("bundle", digest).returncode != 0
    assert host.unpacked() == set()


def test_a_later_boot_runs_what_was_confirmed_without_asking_anybody(aws: Aws, host: Host) -> None:
    confirmed, newer = put(aws, bundle_of("v1")), put(aws, bundle_of("v2"))
    assert host.run("bundle", confirmed).returncode == 0
    point(aws, newer)
    (host.state / "confirmed.json").write_text(json.dumps({"bundle": confirmed, "release": None}))
    aws.asked.clear()
    done = host.run()
    assert (done.returncode, done.stdout) == (0, ran(host, confirmed, "v1"))
    assert aws.asked == []

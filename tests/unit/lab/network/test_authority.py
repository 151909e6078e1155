"""The certificates that make hosts take the lab's services for AWS's."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lab.network.authority import Authority, Identity, service_names


def handshake(identity: Identity, trusted: str, name: str, directory: Path) -> None:
    """A TLS handshake by a client that trusts only `trusted`. :raises ssl.SSLError: when it refuses the name."""
    pem = directory / "server.pem"
    pem.write_text(identity.certificate + identity.key, encoding="ascii")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cadata=trusted)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("sts.amazonaws.com", True),
        ("ssm.us-east-1.amazonaws.com", True),
        ("bucket.s3.us-east-1.amazonaws.com", True),
        ("bucket.s3.amazonaws.com", True),
        ("s3.us-west-2.amazonaws.com", True),
        ("ssm.eu-central-1.amazonaws.com", False),
        ("example.com", False),
    ],
)
def test_names_of_services_are_accepted(tmp_path: Path, name: str, accepted: bool) -> None:
    authority = Authority()
    identity = authority.issue(service_names(["us-east-1", "us-west-2"]))
    if accepted:
        handshake(identity, authority.certificate, name, tmp_path)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(identity, authority.certificate, name, tmp_path)


def test_another_labs_certificate_is_not_accepted(tmp_path: Path) -> None:
    identity = Authority().issue(service_names(["us-east-1"]))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(identity, Authority().certificate, "sts.amazonaws.com", tmp_path)

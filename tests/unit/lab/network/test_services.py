"""The names in the certificate of the TLS proxy."""

from __future__ import annotations

import ssl

import pytest
from trustme import CA

from lab.network.services import new_authority, service_certificate


def handshake(authority: CA, trusted: CA, name: str) -> None:
    """A TLS handshake by a client that trusts one authority. :raises ssl.SSLError: when it refuses the name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    service_certificate(authority, ["us-east-1", "us-west-2"]).configure_cert(server)
    client = ssl.create_default_context(cadata=trusted.cert_pem.bytes().decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of newer Pythons, such as the hosts'
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
def test_names_of_services_are_accepted(name: str, accepted: bool) -> None:
    authority = new_authority()
    if accepted:
        handshake(authority, authority, name)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(authority, authority, name)


def test_another_labs_certificate_is_not_accepted() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(new_authority(), new_authority(), "sts.amazonaws.com")

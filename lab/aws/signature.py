"""Checks Signature Version 4 of a request, so that a host must know its secret key, not only the access key.

The body of an S3 request is not read: its hash is the signed header `X-Amz-Content-Sha256`.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab.aws.request import AwsRequest, Protocol

_SKEW_S = 15 * 60


def signature_fault(request: AwsRequest, secret_key: str, now: float) -> str | None:
    """Why the signature is not valid, or None when it is.

    Only signatures in the Authorization header are accepted: nothing on the estate makes pre-signed URLs.
    """
    credential = request.credential
    date = request.header("X-Amz-Date")
    if credential is None or not request.header("Authorization") or not date:
        return "the request is not signed in its Authorization header"
    if abs(_seconds(date) - now) > _SKEW_S:
        return f"the signature's date {date} is too far from the server's time"
    if request.protocol is not Protocol.S3:
        stated = request.header("X-Amz-Content-Sha256")
        if stated and stated != sha256(request.body).hexdigest():
            return "the body is not the one that was signed"
    signed = _as_signed(request, date, credential.signed_headers)
    auth_class = S3SigV4Auth if request.protocol is Protocol.S3 else SigV4Auth
    auth = auth_class(Credentials(credential.access_key, secret_key), _signing_name(request), credential.region)
    expected = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
    if not hmac.compare_digest(expected, credential.signature):
        return "the request signature does not match"
    return None


def _as_signed(request: AwsRequest, date: str, header_names: tuple[str, ...]) -> AWSRequest:
    environ = request.environ
    path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/")
    query = environ.get("QUERY_STRING", "")
    url = f"https://{environ.get('HTTP_HOST', '')}{str(path).partition('?')[0]}"
    body = None if request.protocol is Protocol.S3 else request.body
    signed = AWSRequest(method=request.method, url=f"{url}?{query}" if query else url, data=body)
    for name in header_names:
        signed.headers[name] = request.header(name) or ""
    signed.context["timestamp"] = date
    return signed


def _signing_name(request: AwsRequest) -> str:
    return request.credential.service if request.credential else ""


def _seconds(date: str) -> float:
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0

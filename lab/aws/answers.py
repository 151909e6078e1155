"""Errors and results, in the form of each of AWS's protocols."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from lab.aws.request import AwsRequest, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}


@dataclass(frozen=True)
class AwsError(Exception):
    """An error for a caller of the API, with its AWS code."""

    code: str
    message: str
    status: int = 400


def denied(request: AwsRequest, message: str) -> AwsError:
    """The error for a request that is not allowed; its code differs by protocol."""
    match request.protocol:
        case Protocol.EC2:
            return AwsError("UnauthorizedOperation", message, 403)
        case Protocol.JSON:
            return AwsError("AccessDeniedException", message, 400)
        case Protocol.CBOR:
            return AwsError("AccessDeniedException", message, 403)
        case _:
            return AwsError("AccessDenied", message, 403)


def answer_error(request: AwsRequest, error: AwsError, start_response: StartResponse) -> Iterable[bytes]:
    """Send an error in the request's protocol."""
    request_id = str(uuid.uuid4())
    code, message = escape(error.code), escape(error.message)
    match request.protocol:
        case Protocol.JSON:
            return answer_json(
                {"__type": error.code, "message": error.message, "Message": error.message},
                start_response,
                status=error.status,
            )
        case Protocol.CBOR:
            body = _cbor({"__type": error.code, "message": error.message})
            headers = [("Smithy-Protocol", "rpc-v2-cbor"), ("x-amzn-requestid", request_id)]
            return _send(body, "application/cbor", error.status, start_response, headers)
        case Protocol.EC2:
            text = (
                f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            )
        case Protocol.S3:
            text = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        case _:
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
    body = b"" if request.method == "HEAD" else f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
    return _send(body, "text/xml", error.status, start_response)


def answer_json(document: Any, start_response: StartResponse, *, status: int = 200) -> Iterable[bytes]:
    """Send a JSON 1.1 result."""
    headers = [("x-amzn-requestid", str(uuid.uuid4()))]
    return _send(json.dumps(document).encode(), "application/x-amz-json-1.1", status, start_response, headers)


def answer_ec2(operation: str, result: Mapping[str, str], start_response: StartResponse) -> Iterable[bytes]:
    """Send a flat EC2 result, by the names of its elements."""
    elements = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in result.items())
    text = f"<{operation}Response><requestId>{uuid.uuid4()}</requestId>{elements}</{operation}Response>"
    return _send(f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), "text/xml", 200, start_response)


def _send(
    body: bytes,
    content_type: str,
    status: int,
    start_response: StartResponse,
    headers: list[tuple[str, str]] | None = None,
) -> Iterable[bytes]:
    start_response(
        f"{status} {_REASONS.get(status, 'Error')}",
        [("Content-Type", content_type), ("Content-Length", str(len(body))), *(headers or [])],
    )
    return [body]


def _cbor(texts: dict[str, str]) -> bytes:
    """A CBOR map of short texts, which is all that an error is (RFC 8949: major types 5 and 3)."""

    def text(value: str) -> bytes:
        data = value.encode()
        return b"\x79" + len(data).to_bytes(2, "big") + data

    return bytes([0xA0 + len(texts)]) + b"".join(text(k) + text(v) for k, v in texts.items())

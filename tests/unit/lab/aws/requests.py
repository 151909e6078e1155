"""Requests to AWS as a WSGI server hands them over."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

from lab.aws.request import AwsRequest, read_request


def request(
    method: str = "POST",
    host: str = "",
    path: str = "/",
    *,
    service: str = "",
    query: str = "",
    body: bytes = b"",
    **headers: str,
) -> AwsRequest:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "HTTP_HOST": host or f"{service}.us-east-1.amazonaws.com",
        "PATH_INFO": path,
        "RAW_URI": path + (f"?{query}" if query else ""),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/{service}/aws4_request, "
        "SignedHeaders=host, Signature=00",
        **headers,
    }
    return read_request(environ)


def ssm(operation: str, **params: Any) -> AwsRequest:
    return request(service="ssm", body=json.dumps(params).encode(), HTTP_X_AMZ_TARGET=f"AmazonSSM.{operation}")


def form(service: str, operation: str, **params: str) -> AwsRequest:
    fields = {key.replace("__", "."): value for key, value in params.items()}
    return request(service=service, body=urlencode({"Action": operation, **fields}).encode())


def s3(method: str, key: str = "", query: str = "", body: bytes = b"", **headers: str) -> AwsRequest:
    return request(method, path=f"/box/{key}", service="s3", query=query, body=body, **headers)

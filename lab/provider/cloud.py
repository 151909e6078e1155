"""The provider's access to the lab's API: clients, account, region and default tags."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from spec.project import EXAMPLE_ACCOUNT_ID

PARTITION = "aws"


class NotTheLabError(Exception):
    """The provider was started without the lab's endpoint: it must never call the real AWS."""


class Cloud:
    """What resource types call AWS with. Each client is made once and is safe to use from several threads."""

    def __init__(self, region: str, default_tags: Mapping[str, str] | None = None) -> None:
        self.region = region
        self.default_tags = dict(default_tags or {})
        self.endpoint_url = _loopback_endpoint()
        self._clients: dict[str, Any] = {}
        self._remembered: dict[tuple[str, ...], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """The client of a service."""
        with self._lock:
            if service not in self._clients:
                from lab.aws.service import client

                self._clients[service] = client(service, self.endpoint_url, self.region)
            return self._clients[service]

    def remembered(self, key: tuple[str, ...], ask: Any) -> Any:
        """An answer that does not change while the provider runs (e.g. an instance type's properties)."""
        if key not in self._remembered:
            self._remembered[key] = ask()
        return self._remembered[key]

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    @property
    def iam(self) -> Any:
        return self.client("iam")

    @property
    def s3(self) -> Any:
        return self.client("s3")

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region."""
        return f"arn:{PARTITION}:{service}:{self.region}:{EXAMPLE_ACCOUNT_ID}:{resource}"

    def tags_all(self, tags: Mapping[str, str] | None) -> dict[str, str]:
        """A resource's tags together with the provider's default tags."""
        return {**self.default_tags, **(tags or {})}


def _loopback_endpoint() -> str:
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    host = urlsplit(url).hostname or ""
    if not (host == "localhost" or host.startswith("127.")):
        raise NotTheLabError(
            f"the lab's provider calls the lab only: AWS_ENDPOINT_URL must be a loopback address, not {url!r}"
        )
    return url


def error_code(error: BaseException) -> str:
    """The AWS code of a botocore error ("" for any other error)."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_gone(error: BaseException) -> bool:
    """Whether an error says that something does not exist."""
    code = error_code(error)
    return "NotFound" in code or code.startswith("NoSuch") or code in ("NotFoundException", "404", "NotFound")

"""What tests of several packages need."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cost import prices
from lab.aws import moto_internals
from lab.aws.service import AwsService, client
from lab.aws.simulator import IamSimulator
from tests.unit.iam import Asked

REGION = "us-east-1"
BUCKET = "ha-dev-123456789012-us-east-1"
"""The artifact bucket of the stack dev in the account of the lab."""


@dataclass(frozen=True)
class Bucket:
    """An empty artifact bucket, versioned as the estate's, and the API that holds it."""

    s3: Any
    name: str
    api: AwsService

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read())


@pytest.fixture(scope="session")
def _api() -> Iterator[AwsService]:
    with AwsService(region=REGION) as service:
        yield service


@pytest.fixture
def bucket(_api: AwsService) -> Bucket:
    moto_internals.reset()
    s3 = client("s3", _api.url, REGION)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return Bucket(s3, BUCKET, _api)


@pytest.fixture(scope="session")
def simulator() -> Iterator[IamSimulator]:
    with IamSimulator() as started:
        yield started


@pytest.fixture(scope="session")
def iam(simulator: IamSimulator) -> Asked:
    return Asked(simulator)


@pytest.fixture
def prices_dir(tmp_path: Path) -> Path:
    """The price files, to be spoilt."""
    folder = tmp_path / "prices"
    shutil.copytree(prices.PRICES_DIR, folder)
    return folder

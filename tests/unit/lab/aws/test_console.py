"""GetConsoleOutput, called by boto3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.console import KEPT_BYTES, ConsoleOutput
from lab.aws.service import AwsService

DB1, NEW = "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"


@pytest.fixture
def console(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


@pytest.fixture
def ec2(api: AwsService, console: Path, tmp_path: Path) -> Iterator[Any]:
    api.layers = [ConsoleOutput({DB1: console, NEW: tmp_path / "none"}.get)]
    yield api.client("ec2")
    api.layers = []


def test_it_is_what_the_host_printed(ec2: Any, console: Path) -> None:
    console.write_bytes(b"ha-setup[1]: <05-host> & done\r\n\xff")
    answer = ec2.get_console_output(InstanceId=DB1, Latest=True)
    assert answer["InstanceId"] == DB1
    assert answer["Output"] == "ha-setup[1]: <05-host> & done\r\n\ufffd"
    assert ec2.get_console_output(InstanceId=NEW)["Output"] == ""


def test_only_the_last_64_kb_are_kept(ec2: Any, console: Path) -> None:
    console.write_bytes(b"a" * KEPT_BYTES + b"b" * KEPT_BYTES)
    assert ec2.get_console_output(InstanceId=DB1)["Output"] == "b" * KEPT_BYTES


def test_an_instance_that_is_not_there_has_none(ec2: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.get_console_output(InstanceId="i-0cccccccccccccccc")
    assert ec2.describe_vpcs()["Vpcs"]

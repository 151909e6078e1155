"""Operations on an estate, against recorded answers of AWS."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ops.estate import CommandFailed, Estate
from spec.errors import HaError

COMMAND_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def estate() -> Estate:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    return Estate(stack="dev", region="us-east-1", target="aws", session=session)


def _described(host: str, tier: str, state: str = "running") -> dict[str, Any]:
    tags = [{"Key": "ha:host", "Value": host}, {"Key": "ha:tier", "Value": tier}]
    return {
        "InstanceId": f"i-{host}",
        "PrivateIpAddress": "10.20.0.11",
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "State": {"Name": state},
        "Tags": tags,
    }


def _sent(stub: Stubber) -> None:
    stub.add_response("send_command", {"Command": {"CommandId": COMMAND_ID}})


def _invocation(stub: Stubber, status: str, code: int, stdout: str = "", stderr: str = "") -> None:
    stub.add_response(
        "get_command_invocation",
        {
            "Status": status,
            "StatusDetails": status,
            "ResponseCode": code,
            "StandardOutputContent": stdout,
            "StandardErrorContent": stderr,
        },
        {"CommandId": COMMAND_ID, "InstanceId": "i-db1"},
    )


def test_instances_are_sorted_and_strangers_left_out(estate: Estate) -> None:
    described = [_described("db2", "db"), _described("db1", "db"), _described("x", "tier of another")]
    with Stubber(estate._ec2) as stub:
        stub.add_response("describe_instances", {"Reservations": [{"Instances": described}]})
        stub.add_response("describe_addresses", {"Addresses": []})
        assert [i.host for i in estate.instances()] == ["db1", "db2"]


def test_a_hosts_own_address_is_not_the_public_one(estate: Estate) -> None:
    described = [{**_described(f"lb{n}", "lb"), "PublicIpAddress": f"203.0.113.2{n}"} for n in (1, 2)]
    filters = [{"Name": "tag:ha:stack", "Values": ["dev"]}, {"Name": "tag:Name", "Values": ["dev-public"]}]
    with Stubber(estate._ec2) as stub:
        stub.add_response("describe_instances", {"Reservations": [{"Instances": described}]})
        held = {"Addresses": [{"PublicIp": "203.0.113.10", "InstanceId": "i-lb2"}]}
        stub.add_response("describe_addresses", held, {"Filters": filters})
        assert {i.host: i.public_address for i in estate.instances()} == {"lb1": None, "lb2": "203.0.113.10"}


def test_aws_that_cannot_be_asked_is_told_with_what_to_do(estate: Estate) -> None:
    with Stubber(estate._ec2) as stub:
        stub.add_client_error("describe_instances", "UnauthorizedOperation", "no")
        with pytest.raises(HaError, match="the hosts of 'dev' cannot be listed") as failed:
            estate.instances()
    assert "check the credentials" in failed.value.fix


def test_a_console_is_read_as_it_is_now(estate: Estate) -> None:
    with Stubber(estate._ec2) as stub:
        printed = base64.b64encode("ha-setup[1]: é".encode()[:-1]).decode()  # 64 KB may begin or end in a character
        stub.add_response("get_console_output", {"Output": printed}, {"InstanceId": "i-db1", "Latest": True})
        stub.add_response("get_console_output", {})
        stub.add_client_error("get_console_output", "UnauthorizedOperation", "no")
        assert estate.console("i-db1") == "ha-setup[1]: \ufffd"
        assert estate.console("i-db1") == ""
        with pytest.raises(CommandFailed, match=r"the console cannot be read: .*UnauthorizedOperation"):
            estate.console("i-db1")


def test_a_command_is_waited_for(estate: Estate) -> None:
    with Stubber(estate._ssm) as stub:
        _sent(stub)
        stub.add_client_error("get_command_invocation", "InvocationDoesNotExist")
        _invocation(stub, "InProgress", -1)
        _invocation(stub, "Failed", 3, "out", "err")
        result = estate.run("i-db1", "exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out", "err")


@pytest.mark.parametrize("stderr", ["why\n", "why", ""])
def test_the_agents_own_line_is_no_output_of_the_command(estate: Estate, stderr: str) -> None:
    with Stubber(estate._ssm) as stub:
        _sent(stub)
        _invocation(stub, "Failed", 1, "", f"{stderr}failed to run commands: exit status 1")
        assert estate.run("i-db1", "exit 1").stderr == stderr.strip()


def test_a_throttled_call_is_repeated(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """More often than boto3 does by itself: all hosts are asked at once."""
    throttled = {"__type": "ThrottlingException", "message": "Rate exceeded"}
    statuses: list[int] = []

    def answer(**_: object) -> SimpleNamespace:
        status, document = (400, throttled) if len(statuses) < 8 else (200, {"Command": {"CommandId": COMMAND_ID}})
        statuses.append(status)
        return SimpleNamespace(status_code=status, headers={}, content=json.dumps(document).encode())

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    estate._ssm.meta.events.register("before-send.ssm.SendCommand", answer)
    with pytest.raises(CommandFailed, match="no answer within 0 s"):
        estate.run("i-db1", "true", timeout_s=0)
    assert statuses == [400] * 8 + [200]


def test_a_command_that_ssm_gave_up_is_a_failure(estate: Estate) -> None:
    with Stubber(estate._ssm) as stub:
        _sent(stub)
        _invocation(stub, "TimedOut", -1)
        with pytest.raises(CommandFailed, match="SSM reports TimedOut"):
            estate.run("i-db1", "sleep 100")


def test_a_host_without_an_agent_is_told(estate: Estate) -> None:
    with Stubber(estate._ssm) as stub:
        stub.add_client_error("send_command", "InvalidInstanceId", "not in a valid state")
        with pytest.raises(CommandFailed, match=r"SSM cannot run a command.*InvalidInstanceId"):
            estate.run("i-db1", "true")


def test_a_report_is_read_and_one_that_is_none_refused(estate: Estate) -> None:
    with Stubber(estate._ssm) as stub:
        _sent(stub)
        _invocation(stub, "Success", 0, json.dumps({"host": "db1"}))
        assert estate.report("i-db1") == {"host": "db1"}
        _sent(stub)
        _invocation(stub, "Failed", 127, "", "sh: ha-report: not found\n")
        with pytest.raises(CommandFailed, match="ha-report: not found"):
            estate.report("i-db1")

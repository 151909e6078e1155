"""Run Command, called by boto3, with fake hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.run_command import Outcome, RunCommand
from lab.aws.service import AwsService

DB1, DB2, STOPPED = "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb", "i-0cccccccccccccccc"


class Hosts:
    """Fake hosts: what they were asked to run, and what they do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...], float]] = []
        self.act: Callable[[str], Outcome] = lambda instance_id: Outcome(0, f"hello from {instance_id}\n", "")

    def __call__(self, instance_id: str, commands: Sequence[str], timeout_s: float) -> Outcome:
        self.asked.append((instance_id, tuple(commands), timeout_s))
        return self.act(instance_id)


@pytest.fixture
def hosts(api: AwsService) -> Iterator[Hosts]:
    played = Hosts()
    api.layers = [RunCommand(played, lambda: [DB1, DB2])]
    yield played
    api.layers = []


@pytest.fixture
def ssm(api: AwsService, hosts: Hosts) -> Any:
    return api.client("ssm")


def send(ssm: Any, *instance_ids: str, **more: Any) -> str:
    answer = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=list(instance_ids),
        Parameters={"commands": ["hostname", "true"], **more.pop("parameters", {})},
        **more,
    )
    return str(answer["Command"]["CommandId"])


def ended(ssm: Any, command_id: str, instance_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found: dict[str, Any] = ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
        if found["Status"] not in ("Pending", "InProgress"):
            return found
        time.sleep(0.01)
    raise AssertionError("the command did not end")


def test_a_command_runs_on_each_host_and_its_output_comes_back(ssm: Any, hosts: Hosts) -> None:
    command_id = send(ssm, DB1, DB2, parameters={"executionTimeout": ["17"]})
    for host in (DB1, DB2):
        found = ended(ssm, command_id, host)
        assert (found["Status"], found["ResponseCode"]) == ("Success", 0)
        assert found["StandardOutputContent"] == f"hello from {host}\n"
    assert sorted(hosts.asked) == [(host, ("hostname", "true"), 17) for host in (DB1, DB2)]


def test_a_failing_script_fails_with_its_code_and_output(ssm: Any, hosts: Hosts) -> None:
    hosts.act = lambda _: Outcome(3, "partly", "went wrong\n")
    found = ended(ssm, send(ssm, DB1), DB1)
    assert (found["Status"], found["ResponseCode"]) == ("Failed", 3)
    assert found["StandardOutputContent"] == "partly"
    assert found["StandardErrorContent"] == "went wrong\nfailed to run commands: exit status 3"


def test_a_script_that_takes_too_long_has_timed_out(ssm: Any, hosts: Hosts) -> None:
    def too_long(_: str) -> Outcome:
        raise TimeoutError("it ran for 1 s")

    hosts.act = too_long
    found = ended(ssm, send(ssm, DB1), DB1)
    assert (found["Status"], found["StatusDetails"]) == ("TimedOut", "Execution Timed Out")


def test_a_command_fails_when_its_host_ends(ssm: Any, hosts: Hosts) -> None:
    def ends(_: str) -> Outcome:
        raise OSError("no such process")

    hosts.act = ends
    assert ended(ssm, send(ssm, DB1), DB1)["Status"] == "Failed"


def test_while_a_script_runs_it_is_in_progress(ssm: Any, hosts: Hosts) -> None:
    running, finish = threading.Event(), threading.Event()

    def act(_: str) -> Outcome:
        running.set()
        assert finish.wait(10)
        return Outcome(0, "", "")

    hosts.act = act
    command_id = send(ssm, DB1)
    assert running.wait(10)
    assert ssm.get_command_invocation(CommandId=command_id, InstanceId=DB1)["Status"] == "InProgress"
    finish.set()
    assert ended(ssm, command_id, DB1)["Status"] == "Success"


def test_output_is_cut_as_ssm_cuts_it(ssm: Any, hosts: Hosts) -> None:
    hosts.act = lambda _: Outcome(0, "o" * 30_000, "e" * 30_000)
    found = ended(ssm, send(ssm, DB1), DB1)
    assert (len(found["StandardOutputContent"]), len(found["StandardErrorContent"])) == (24_000, 8_000)


@pytest.mark.parametrize("instance_id", [STOPPED, "i-0dddddddddddddddd"])
def test_an_instance_without_a_running_agent_is_refused_and_nothing_runs(
    ssm: Any, hosts: Hosts, instance_id: str
) -> None:
    with pytest.raises(ClientError) as refused:
        send(ssm, DB1, instance_id)
    assert refused.value.response["Error"]["Code"] == "InvalidInstanceId"
    assert hosts.asked == []


def test_other_documents_parameters_and_targets_are_refused(ssm: Any, hosts: Hosts) -> None:
    with pytest.raises(ClientError, match="InvalidDocument"):
        ssm.send_command(DocumentName="AWS-RunPowerShellScript", InstanceIds=[DB1], Parameters={"commands": ["x"]})
    for name in ("workingDirectory", "colour"):
        with pytest.raises(ClientError, match="InvalidParameters"):
            send(ssm, DB1, parameters={name: ["red"]})
    with pytest.raises(ClientError, match="InvalidTarget"):
        ssm.send_command(
            DocumentName="AWS-RunShellScript",
            Targets=[{"Key": "tag:Name", "Values": ["db1"]}],
            Parameters={"commands": ["hostname"]},
        )
    assert hosts.asked == []


def test_an_unknown_invocation_is_an_error_of_its_own(ssm: Any) -> None:
    command_id = send(ssm, DB1)
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        ssm.get_command_invocation(CommandId=command_id, InstanceId=DB2)


def test_the_rest_of_ssm_passes(ssm: Any) -> None:
    ssm.put_parameter(Name="/run-command/passes", Value="x", Type="String")
    assert ssm.get_parameter(Name="/run-command/passes")["Parameter"]["Value"] == "x"

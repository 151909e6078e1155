"""SSM Run Command that really runs: SendCommand's shell script goes to the host, what it prints comes back.

Only `AWS-RunShellScript` on instances by id. Everything else of SSM passes to moto.
"""

from __future__ import annotations

import shlex
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lab.aws.answers import AwsError, answer_json
from lab.aws.request import AwsRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

DOCUMENT = "AWS-RunShellScript"
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html
MAX_OUTPUT_CHARACTERS = 24_000
MAX_ERROR_CHARACTERS = 8_000
MAX_PLUGIN_CHARACTERS = 2_500
_DEFAULT_EXECUTION_S = 3600
_DEFAULT_DELIVERY_S = 3600
_REMEMBERED_COMMANDS = 1000
_KNOWN_PARAMETERS = {"commands", "workingDirectory", "executionTimeout"}


class Status(StrEnum):
    """How an invocation stands, as SSM names it."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCESS = "Success"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"


_DETAILS = {Status.TIMED_OUT: "Execution Timed Out", Status.IN_PROGRESS: "InProgress"}


@dataclass(frozen=True)
class Outcome:
    """What a script did on a host."""

    exit_code: int
    stdout: str
    stderr: str


RunOnHost = Callable[[str, Sequence[str], float], Outcome]
"""(instance id, lines of a shell script, seconds it may take) -> outcome.

Raises TimeoutError when it took longer (its children ended), and any other exception when the host cannot run it.
"""


@dataclass(frozen=True)
class ManagedInstance:
    """An instance whose agent has reported to SSM since it was made."""

    instance_id: str
    name: str
    address: str
    online: bool


@dataclass
class Invocation:
    """One command on one instance. Times are Unix seconds."""

    command_id: str
    instance_id: str
    name: str
    comment: str
    requested: float
    status: Status = Status.PENDING
    started: float | None = None
    ended: float | None = None
    exit_code: int = -1
    stdout: str = ""
    stderr: str = ""


@dataclass
class Command:
    """One SendCommand."""

    id: str
    comment: str
    parameters: dict[str, list[str]]
    delivery_s: int
    requested: float
    invocations: list[Invocation] = field(default_factory=list)


class RunCommand:
    """The layer of the API that runs commands. `managed` says which instances have an agent, and which are online."""

    def __init__(self, run_on_host: RunOnHost, managed: Callable[[], Sequence[ManagedInstance]]) -> None:
        self._run_on_host = run_on_host
        self._managed = managed
        self._lock = threading.Lock()
        self._commands: OrderedDict[str, Command] = OrderedDict()
        self._operations = {
            "SendCommand": self._send,
            "GetCommandInvocation": self._get,
            "ListCommandInvocations": self._list_invocations,
            "ListCommands": self._list_commands,
            "DescribeInstanceInformation": self._describe,
        }

    def handle(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer the operations of Run Command; let everything else pass. :raises AwsError: as SSM refuses."""
        operation = self._operations.get(request.operation) if request.service == "ssm" else None
        if operation is None:
            return None
        return answer_json(operation(request.params), start_response)

    def _send(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("DocumentName") != DOCUMENT:
            raise AwsError("InvalidDocument", f"the lab runs {DOCUMENT} only, not {params.get('DocumentName')}")
        instance_ids = _instance_ids(params)
        parameters = params.get("Parameters") or {}
        lines, execution_s = _script(parameters)
        managed = {one.instance_id: one for one in self._managed() if one.online}
        unknown = [one for one in instance_ids if one not in managed]
        if unknown:
            raise AwsError("InvalidInstanceId", f"Instances [[{', '.join(unknown)}]] not in a valid state for account")
        command = Command(
            id=str(uuid.uuid4()),
            comment=params.get("Comment", ""),
            parameters=parameters,
            delivery_s=int(params.get("TimeoutSeconds") or _DEFAULT_DELIVERY_S),
            requested=time.time(),
        )
        for instance_id in instance_ids:
            name = managed[instance_id].name
            command.invocations.append(Invocation(command.id, instance_id, name, command.comment, command.requested))
        with self._lock:
            self._commands[command.id] = command
            while len(self._commands) > _REMEMBERED_COMMANDS:
                self._commands.popitem(last=False)
        for invocation in command.invocations:
            threading.Thread(
                target=self._run,
                args=(invocation, lines, execution_s),
                name=f"run-command-{invocation.name}",
                daemon=True,
            ).start()
        return {"Command": _command(command)}

    def _run(self, invocation: Invocation, lines: Sequence[str], execution_s: int) -> None:
        invocation.started = time.time()
        invocation.status = Status.IN_PROGRESS
        try:
            outcome = self._run_on_host(invocation.instance_id, lines, execution_s)
        except TimeoutError as error:
            self._finish(invocation, Status.TIMED_OUT, Outcome(-1, "", str(error)))
        except Exception as error:
            # A host that dies under a command: SSM calls that failed too, once the agent does not come back.
            self._finish(invocation, Status.FAILED, Outcome(-1, "", f"the host could not run it: {error}"))
        else:
            status = Status.SUCCESS if outcome.exit_code == 0 else Status.FAILED
            self._finish(invocation, status, outcome)

    @staticmethod
    def _finish(invocation: Invocation, status: Status, outcome: Outcome) -> None:
        invocation.exit_code = outcome.exit_code
        invocation.stdout, invocation.stderr = outcome.stdout, outcome.stderr
        invocation.ended = time.time()
        # Last: whoever sees the status sees all of it.
        invocation.status = status

    def _get(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            command = self._commands.get(str(params.get("CommandId")))
        for invocation in command.invocations if command else ():
            if invocation.instance_id == params.get("InstanceId"):
                return _invocation(invocation)
        raise AwsError("InvocationDoesNotExist", "")

    def _list_invocations(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            commands = list(self._commands.values())
        found = [
            _invocation_summary(invocation, details=bool(params.get("Details")))
            for command in commands
            if params.get("CommandId") in (None, command.id)
            for invocation in command.invocations
            if params.get("InstanceId") in (None, invocation.instance_id)
        ]
        return {"CommandInvocations": found}

    def _list_commands(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            commands = list(self._commands.values())
        return {"Commands": [_command(one) for one in commands if params.get("CommandId") in (None, one.id)]}

    def _describe(self, params: dict[str, Any]) -> dict[str, Any]:
        wanted = {
            value
            for one in params.get("Filters") or ()
            if one.get("Key") == "InstanceIds"
            for value in one.get("Values", ())
        }
        now = time.time()
        return {
            "InstanceInformationList": [
                {
                    "InstanceId": one.instance_id,
                    "PingStatus": "Online" if one.online else "ConnectionLost",
                    "LastPingDateTime": now,
                    "AgentVersion": "lab",
                    "PlatformType": "Linux",
                    "PlatformName": "Debian GNU/Linux",
                    "PlatformVersion": "13",
                    "ResourceType": "EC2Instance",
                    "IPAddress": one.address,
                    "ComputerName": one.name,
                }
                for one in self._managed()
                if not wanted or one.instance_id in wanted
            ]
        }


def _instance_ids(params: dict[str, Any]) -> list[str]:
    if params.get("InstanceIds"):
        return [str(one) for one in params["InstanceIds"]]
    targets = params.get("Targets") or []
    if len(targets) == 1 and targets[0].get("Key") == "InstanceIds":
        return [str(one) for one in targets[0].get("Values", ())]
    raise AwsError("InvalidTarget", "the lab takes instances by their ids only")


def _script(parameters: dict[str, list[str]]) -> tuple[list[str], int]:
    unknown = sorted(set(parameters) - _KNOWN_PARAMETERS)
    if unknown or not parameters.get("commands"):
        raise AwsError("InvalidParameters", f"{DOCUMENT} takes {sorted(_KNOWN_PARAMETERS)}, not {sorted(parameters)}")
    lines = [str(one) for one in parameters["commands"]]
    directory = (parameters.get("workingDirectory") or [""])[0]
    if directory:
        lines.insert(0, f"cd {shlex.quote(directory)} || exit 1")
    return lines, int((parameters.get("executionTimeout") or [str(_DEFAULT_EXECUTION_S)])[0])


def _command(command: Command) -> dict[str, Any]:
    statuses = [one.status for one in command.invocations]
    ended = [one for one in statuses if one not in (Status.PENDING, Status.IN_PROGRESS)]
    failed = [one for one in ended if one is not Status.SUCCESS]
    if len(ended) < len(statuses):
        status = Status.IN_PROGRESS if Status.IN_PROGRESS in statuses or ended else Status.PENDING
    else:
        status = failed[0] if failed else Status.SUCCESS
    return {
        "CommandId": command.id,
        "DocumentName": DOCUMENT,
        "Comment": command.comment,
        "Parameters": command.parameters,
        "InstanceIds": [one.instance_id for one in command.invocations],
        "RequestedDateTime": command.requested,
        "ExpiresAfter": command.requested + command.delivery_s,
        "TimeoutSeconds": command.delivery_s,
        "Status": status,
        "StatusDetails": _DETAILS.get(status, status),
        "TargetCount": len(statuses),
        "CompletedCount": len(ended),
        "ErrorCount": len(failed),
    }


def _invocation(one: Invocation) -> dict[str, Any]:
    return {
        "CommandId": one.command_id,
        "InstanceId": one.instance_id,
        "Comment": one.comment,
        "DocumentName": DOCUMENT,
        "PluginName": "aws:runShellScript",
        "ResponseCode": one.exit_code,
        "ExecutionStartDateTime": _time(one.started),
        "ExecutionEndDateTime": _time(one.ended),
        "Status": one.status,
        "StatusDetails": _DETAILS.get(one.status, one.status),
        "StandardOutputContent": one.stdout[:MAX_OUTPUT_CHARACTERS],
        "StandardErrorContent": one.stderr[:MAX_ERROR_CHARACTERS],
    }


def _invocation_summary(one: Invocation, *, details: bool) -> dict[str, Any]:
    plugin = {
        "Name": "aws:runShellScript",
        "Status": one.status,
        "StatusDetails": _DETAILS.get(one.status, one.status),
        "ResponseCode": one.exit_code,
        "Output": (one.stdout + one.stderr)[:MAX_PLUGIN_CHARACTERS],
    }
    return {
        "CommandId": one.command_id,
        "InstanceId": one.instance_id,
        "InstanceName": one.name,
        "Comment": one.comment,
        "DocumentName": DOCUMENT,
        "RequestedDateTime": one.requested,
        "Status": one.status,
        "StatusDetails": _DETAILS.get(one.status, one.status),
        "CommandPlugins": [plugin] if details else [],
    }


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

"""SSM Run Command that runs: SendCommand's shell script goes to the host, GetCommandInvocation gives what it printed.

Only `AWS-RunShellScript` on instances by id. Everything else of SSM passes to moto.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
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
_DEFAULT_EXECUTION_S = 3600
_DEFAULT_DELIVERY_S = 3600
_REMEMBERED_INVOCATIONS = 1000
_KNOWN_PARAMETERS = {"commands", "executionTimeout"}


class Status(StrEnum):
    """The status of an invocation, as SSM names it."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCESS = "Success"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"


_DETAILS = {Status.TIMED_OUT: "Execution Timed Out"}


@dataclass(frozen=True)
class Outcome:
    """What a script did on a host."""

    exit_code: int
    stdout: str
    stderr: str


RunOnHost = Callable[[str, Sequence[str], float], Outcome]
"""(instance id, lines of a shell script, seconds it may take) -> outcome.

Raises TimeoutError when the script took longer (it is ended then), and any other exception when the host cannot run it.
"""


@dataclass
class Invocation:
    """One command on one instance. Times are Unix seconds."""

    command_id: str
    instance_id: str
    status: Status = Status.PENDING
    started: float | None = None
    ended: float | None = None
    outcome: Outcome = Outcome(-1, "", "")


class RunCommand:
    """The layer of the API that runs commands. `online` gives the ids of the instances whose agent answers."""

    def __init__(self, run_on_host: RunOnHost, online: Callable[[], Collection[str]]) -> None:
        self._run_on_host = run_on_host
        self._online = online
        self._lock = threading.Lock()
        self._invocations: OrderedDict[tuple[str, str], Invocation] = OrderedDict()
        """By command id and instance id."""
        self._operations = {"SendCommand": self._send, "GetCommandInvocation": self._get}

    def handle(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer the operations of Run Command; let everything else pass. :raises AwsError: as SSM refuses."""
        operation = self._operations.get(request.operation) if request.service == "ssm" else None
        if operation is None:
            return None
        return answer_json(operation(request.params), start_response)

    def _send(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("DocumentName") != DOCUMENT:
            raise AwsError("InvalidDocument", f"the lab runs {DOCUMENT} only, not {params.get('DocumentName')}")
        instance_ids = [str(one) for one in params.get("InstanceIds") or ()]
        if not instance_ids:
            raise AwsError("InvalidTarget", "the lab takes instances by their ids only")
        parameters = params.get("Parameters") or {}
        lines, execution_s = _script(parameters)
        online = self._online()
        unknown = [one for one in instance_ids if one not in online]
        if unknown:
            raise AwsError("InvalidInstanceId", f"Instances [[{', '.join(unknown)}]] not in a valid state for account")
        command_id, delivery_s = str(uuid.uuid4()), int(params.get("TimeoutSeconds") or _DEFAULT_DELIVERY_S)
        requested = time.time()
        for instance_id in instance_ids:
            invocation = Invocation(command_id, instance_id)
            with self._lock:
                self._invocations[command_id, instance_id] = invocation
                while len(self._invocations) > _REMEMBERED_INVOCATIONS:
                    self._invocations.popitem(last=False)
            threading.Thread(
                target=self._run,
                args=(invocation, lines, execution_s),
                name=f"run-command-{instance_id}",
                daemon=True,
            ).start()
        return {
            "Command": {
                "CommandId": command_id,
                "DocumentName": DOCUMENT,
                "Parameters": parameters,
                "InstanceIds": instance_ids,
                "RequestedDateTime": requested,
                "ExpiresAfter": requested + delivery_s,
                "TimeoutSeconds": delivery_s,
                "Status": Status.PENDING,
                "StatusDetails": Status.PENDING,
                "TargetCount": len(instance_ids),
            }
        }

    def _run(self, invocation: Invocation, lines: Sequence[str], execution_s: int) -> None:
        invocation.started = time.time()
        invocation.status = Status.IN_PROGRESS
        try:
            outcome = self._run_on_host(invocation.instance_id, lines, execution_s)
        except TimeoutError as error:
            self._finish(invocation, Status.TIMED_OUT, Outcome(-1, "", str(error)))
        except Exception as error:
            # The host ended during the command. SSM reports a failure too, once the agent does not come back.
            self._finish(invocation, Status.FAILED, Outcome(-1, "", f"the host could not run it: {error}"))
        else:
            if outcome.exit_code == 0:
                self._finish(invocation, Status.SUCCESS, outcome)
            else:
                # As the agent does.
                stderr = f"{outcome.stderr}failed to run commands: exit status {outcome.exit_code}"
                self._finish(invocation, Status.FAILED, Outcome(outcome.exit_code, outcome.stdout, stderr))

    @staticmethod
    def _finish(invocation: Invocation, status: Status, outcome: Outcome) -> None:
        invocation.outcome = outcome
        invocation.ended = time.time()
        # Last: a reader who sees the final status sees the whole outcome.
        invocation.status = status

    def _get(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            one = self._invocations.get((str(params.get("CommandId")), str(params.get("InstanceId"))))
        if one is None:
            raise AwsError("InvocationDoesNotExist", "")
        status = one.status
        return {
            "CommandId": one.command_id,
            "InstanceId": one.instance_id,
            "DocumentName": DOCUMENT,
            "PluginName": "aws:runShellScript",
            "ResponseCode": one.outcome.exit_code,
            "ExecutionStartDateTime": _time(one.started),
            "ExecutionEndDateTime": _time(one.ended),
            "Status": status,
            "StatusDetails": _DETAILS.get(status, status),
            "StandardOutputContent": one.outcome.stdout[:MAX_OUTPUT_CHARACTERS],
            "StandardErrorContent": one.outcome.stderr[:MAX_ERROR_CHARACTERS],
        }


def _script(parameters: dict[str, list[str]]) -> tuple[list[str], int]:
    unknown = sorted(set(parameters) - _KNOWN_PARAMETERS)
    if unknown or not parameters.get("commands"):
        raise AwsError("InvalidParameters", f"{DOCUMENT} takes {sorted(_KNOWN_PARAMETERS)}, not {sorted(parameters)}")
    lines = [str(one) for one in parameters["commands"]]
    return lines, int((parameters.get("executionTimeout") or [str(_DEFAULT_EXECUTION_S)])[0])


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

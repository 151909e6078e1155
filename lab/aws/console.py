"""EC2's GetConsoleOutput that answers with what a host printed; moto has an example text. All else passes to moto."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.aws.answers import AwsError, answer_ec2
from lab.aws.request import AwsRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

KEPT_BYTES = 64 * 1024
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html"""


class ConsoleOutput:
    """The layer of the API that shows consoles. `console_of` gives an instance's log; None: there is no such one."""

    def __init__(self, console_of: Callable[[str], Path | None]) -> None:
        self._console_of = console_of

    def handle(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer GetConsoleOutput; let everything else pass. :raises AwsError: for an instance that is not there."""
        if (request.service, request.operation) != ("ec2", "GetConsoleOutput"):
            return None
        instance_id = str(request.params.get("InstanceId"))
        console = self._console_of(instance_id)
        if console is None:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        result = {
            "instanceId": instance_id,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "output": base64.b64encode(_end_of(console)).decode(),
        }
        return answer_ec2(request.operation, result, start_response)


def _end_of(console: Path) -> bytes:
    try:
        with console.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - KEPT_BYTES))
            return file.read(KEPT_BYTES)
    except FileNotFoundError:  # it has not booted yet
        return b""

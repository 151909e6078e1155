"""From a command on this machine to the lab's AWS: this process moves into the lab's network."""

from __future__ import annotations

import boto3

from components.errors import EXIT_USAGE, HaError
from lab.aws.service import OPERATOR_ACCESS_KEY, OPERATOR_SECRET_KEY
from lab.lab import Lab


def session_of(lab: Lab, stack: str, region: str) -> tuple[boto3.Session, int]:
    """The operator's session on the running lab, and the port of this machine that leads to the estate's port 80.

    From here on this thread, and those that it starts, are in the lab's internet.
    :raises HaError: when no lab runs; with exit code 2 when it runs another stack.
    """
    status = lab.status()
    if status["stack"] != stack:
        raise HaError(
            f"the lab runs the stack {status['stack']!r}, not {stack!r}",
            where=str(lab.paths.state),
            fix=f"give --stack {status['stack']}, or `ha lab down` and `ha lab up --stack {stack}`",
            exit_code=EXIT_USAGE,
        )
    lab.enter_network()
    session = boto3.Session(
        aws_access_key_id=OPERATOR_ACCESS_KEY, aws_secret_access_key=OPERATOR_SECRET_KEY, region_name=region
    )
    return session, int(status["ports"]["80"])

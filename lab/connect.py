"""Connects a command on this machine to the estate in the lab, by moving it into the lab's network."""

from __future__ import annotations

import boto3

from lab.aws.service import OPERATOR_ACCESS_KEY, OPERATOR_SECRET_KEY
from lab.lab import Lab
from ops.estate import Estate
from spec.errors import EXIT_USAGE, HaError
from spec.settings import Settings


def require_stack(lab: Lab, stack: str) -> None:
    """:raises HaError: when no lab runs; with exit code 2 when it runs another stack."""
    running = lab.status()["stack"]
    if running != stack:
        raise HaError(
            f"the lab runs the stack {running!r}, not {stack!r}",
            where=str(lab.paths.state),
            fix=f"give --stack {running}, or `ha lab down` and `ha lab up --stack {stack}`",
            exit_code=EXIT_USAGE,
        )


def connect(lab: Lab, stack: str, settings: Settings) -> Estate:
    """The estate of the running lab, with the operator's credentials.

    It moves this thread, and those that it starts later, into the lab's internet.
    :raises HaError: when no lab runs; with exit code 2 when it runs another stack.
    """
    require_stack(lab, stack)
    lab.enter_network()
    session = boto3.Session(
        aws_access_key_id=OPERATOR_ACCESS_KEY, aws_secret_access_key=OPERATOR_SECRET_KEY, region_name=settings.region
    )
    port = int(lab.status()["ports"]["80"])
    return Estate(
        stack=stack,
        region=settings.region,
        target="lab",
        session=session,
        endpoint_url=lab.endpoint_url,
        url_of=lambda _: f"http://127.0.0.1:{port}",
    )

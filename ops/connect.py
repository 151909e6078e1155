"""From a stack's name to its `Estate`: on AWS with the caller's credentials, or in the lab."""

from __future__ import annotations

import boto3

from components.errors import EXIT_FAILED, HaError
from components.settings import Settings
from ops.estate import Estate


def connect(stack: str, settings: Settings, *, lab: bool) -> Estate:
    """The estate of a stack. :raises HaError: when there are no credentials, or the lab is not up."""
    if lab:
        # The lab is no part of what operations need on AWS.
        from lab.connect import session_of
        from lab.lab import Lab

        machine = Lab()
        session, port = session_of(machine, stack, settings.region)
        return Estate(
            stack=stack,
            region=settings.region,
            target="lab",
            session=session,
            endpoint_url=machine.endpoint_url,
            url_of=lambda _: f"http://127.0.0.1:{port}",
        )
    session = boto3.Session()
    if session.get_credentials() is None:
        raise HaError(
            "there are no AWS credentials",
            where="environment, AWS configuration files",
            fix="configure them as for the AWS CLI, or give --lab before the command for the lab on this machine",
            exit_code=EXIT_FAILED,
        )
    return Estate(stack=stack, region=settings.region, target="aws", session=session)

"""From a stack's name to its `Estate` on AWS, with the caller's credentials."""

from __future__ import annotations

import boto3

from ops.estate import Estate
from spec.errors import HaError
from spec.settings import Settings


def connect(stack: str, settings: Settings) -> Estate:
    """The estate of a stack on AWS. :raises HaError: when there are no credentials."""
    session = boto3.Session()
    if session.get_credentials() is None:
        raise HaError(
            "there are no AWS credentials",
            where="environment variables, AWS configuration files",
            fix="configure them as for the AWS CLI, or use the lab on this machine: ha --lab COMMAND",
        )
    return Estate(stack=stack, region=settings.region, target="aws", session=session)

"""The estate that a command works on: on AWS, or with `--lab` in the lab on this machine."""

from __future__ import annotations

from ops.estate import Estate
from spec.settings import Settings


def connect(stack: str, settings: Settings, *, lab: bool) -> Estate:
    """The estate of a stack. :raises HaError: when there are no credentials, or the lab is not up."""
    # Imported late: boto3 takes a tenth of a second to load, and operations on AWS do not need the lab.
    if lab:
        from lab.connect import connect as connect_lab
        from lab.lab import Lab

        return connect_lab(Lab(), stack, settings)
    from ops.connect import connect as connect_aws

    return connect_aws(stack, settings)

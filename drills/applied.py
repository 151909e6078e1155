"""Whether a lab runs what this checkout says: else a result would name a commit that it does not come from."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from components.user_data import Context, user_data
from ops.estate import Estate
from spec.errors import EXIT_USAGE, HaError


def refuse_stale(estate: Estate, wanted: Mapping[str, Context]) -> None:
    """:raises HaError: with exit code 2 when hosts have other user data than this checkout gives them."""
    ec2 = estate.client("ec2")
    strange = []
    for instance in estate.instances():
        answer = ec2.describe_instance_attribute(InstanceId=instance.instance_id, Attribute="userData")
        given = base64.b64decode(answer.get("UserData", {}).get("Value", ""))
        if instance.host not in wanted or given != user_data(wanted[instance.host]):
            strange.append(instance.host)
    if strange:
        raise HaError(
            f"{', '.join(sorted(strange))}: not set up as this checkout says, so a result would not be of it",
            where=f"{estate.stack} in the lab",
            fix="`ha lab up` applies this checkout",
            exit_code=EXIT_USAGE,
        )

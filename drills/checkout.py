"""Whether the running hosts come from this checkout. If not, a result would name a commit that was not measured."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from components.user_data import Context, user_data
from ops.estate import Estate
from spec.errors import EXIT_USAGE, HaError


def refuse_other_user_data(estate: Estate, wanted: Mapping[str, Context]) -> None:
    """:raises HaError: with exit code 2 when a host's user data are not those that this checkout makes."""
    ec2 = estate.client("ec2")
    differing = []
    for instance in estate.instances():
        answer = ec2.describe_instance_attribute(InstanceId=instance.instance_id, Attribute="userData")
        given = base64.b64decode(answer.get("UserData", {}).get("Value", ""))
        if instance.host not in wanted or given != user_data(wanted[instance.host]):
            differing.append(instance.host)
    if differing:
        raise HaError(
            f"the user data of {', '.join(sorted(differing))} are not those of this checkout: "
            "a result would name the wrong commit",
            where=f"{estate.stack} in the lab",
            fix="`ha lab up` applies this checkout",
            exit_code=EXIT_USAGE,
        )

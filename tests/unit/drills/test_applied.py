"""A lab of another checkout is not drilled."""

from __future__ import annotations

import base64
from typing import cast
from unittest.mock import MagicMock

import pytest

from components.user_data import user_data
from drills.applied import refuse_stale
from ops.estate import Estate
from spec.errors import EXIT_USAGE, HaError
from tests.unit.cloud_init.rendering import estate

WANTED = estate()


def running(given: dict[str, bytes]) -> Estate:
    """An estate whose hosts were made from these user data."""
    found = MagicMock(stack="dev")
    found.instances.return_value = [MagicMock(host=name, instance_id=name) for name in given]
    found.client.return_value.describe_instance_attribute.side_effect = lambda **asked: {
        "UserData": {"Value": base64.b64encode(given[asked["InstanceId"]]).decode()}
    }
    return cast(Estate, found)


def test_hosts_as_the_checkout_says_are_drilled() -> None:
    refuse_stale(running({name: user_data(context) for name, context in WANTED.items()}), WANTED)


def test_hosts_with_other_user_data_are_named() -> None:
    given = {name: user_data(context) for name, context in WANTED.items()} | {"db2": b"older", "db9": b"unknown"}
    with pytest.raises(HaError, match="db2, db9: not set up as this checkout says") as refused:
        refuse_stale(running(given), WANTED)
    assert refused.value.exit_code == EXIT_USAGE

"""No drill is run on a lab of another checkout."""

from __future__ import annotations

import base64
from typing import cast
from unittest.mock import MagicMock

import pytest

from components.user_data import Context
from drills.checkout import refuse_other_user_data
from ops.estate import Estate
from spec.errors import EXIT_USAGE, HaError
from tests.unit.cloud_init.rendering import estate

WANTED = estate()


@pytest.fixture(autouse=True)
def user_data_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short user data: the real ones take long to compress."""
    monkeypatch.setattr("drills.checkout.user_data", user_data)


def user_data(context: Context) -> bytes:
    return f"user data of {context.host.name}".encode()


def running(given: dict[str, bytes]) -> Estate:
    """An estate whose hosts were made from these user data."""
    found = MagicMock(stack="dev")
    found.instances.return_value = [MagicMock(host=name, instance_id=name) for name in given]
    found.client.return_value.describe_instance_attribute.side_effect = lambda **asked: {
        "UserData": {"Value": base64.b64encode(given[asked["InstanceId"]]).decode()}
    }
    return cast(Estate, found)


def test_hosts_of_this_checkout_are_accepted() -> None:
    refuse_other_user_data(running({name: user_data(context) for name, context in WANTED.items()}), WANTED)


def test_hosts_with_other_user_data_are_named() -> None:
    given = {name: user_data(context) for name, context in WANTED.items()} | {"db2": b"older", "db9": b"unknown"}
    with pytest.raises(HaError, match="the user data of db2, db9 are not those of this checkout") as refused:
        refuse_other_user_data(running(given), WANTED)
    assert refused.value.exit_code == EXIT_USAGE

"""What `ha lab up` refuses before anything is made."""

from __future__ import annotations

import pytest

from lab.boot import check_zones
from spec.errors import SettingsError
from spec.project import REPOSITORY
from spec.stack_file import load_settings, parse_settings


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_zones_of_this_repositorys_stacks_are_there(stack: str) -> None:
    check_zones(stack, load_settings(REPOSITORY, stack))


def test_a_zone_that_does_not_exist_is_named_with_those_that_do() -> None:
    given = {"network": {"zones": ["us-east-1a", "us-east-1z"]}}
    with pytest.raises(SettingsError) as refused:
        check_zones("dev", parse_settings(given, "us-east-1", source="Pulumi.dev.yaml"))
    assert refused.value.exit_code == 2
    assert "network.zones: us-east-1z is refused: the zones of us-east-1 are us-east-1a, us-east-1b" in str(
        refused.value
    )

"""No drill is run on a lab of another checkout."""

from __future__ import annotations

import pytest

from components.bundles import bundles
from drills.checkout import refuse_other_bundles
from ops.estate import Instance
from ops.status import Observation, Status, judge
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier
from tests.unit.cloud_init.rendering import estate

WANTED = estate()
BUNDLES = {host: bundles(WANTED.values())[context.host.tier].digest for host, context in WANTED.items()}


def running(given: dict[str, str]) -> Status:
    """An estate whose hosts say that they run these bundles."""
    seen = [
        Observation(
            Instance(f"i-{name}", name, Tier(name[:-1]), "10.20.0.1", None, "us-east-1a", "running"),
            {"runs": {"bundle": digest}},
        )
        for name, digest in given.items()
    ]
    return judge(seen, expected=[], stack="dev", target="lab", url=None)


def test_hosts_of_this_checkout_are_accepted() -> None:
    refuse_other_bundles(running(BUNDLES), WANTED)


@pytest.mark.parametrize("says", ["ab" * 32, "", BUNDLES["app1"]], ids=["another", "nothing", "another tier's"])
def test_hosts_with_another_bundle_are_named(says: str) -> None:
    given = BUNDLES | {"db2": says, "db9": BUNDLES["db1"]}
    with pytest.raises(HaError, match=r"the bundle of db2, db9 is not that of this checkout") as refused:
        refuse_other_bundles(running(given), WANTED)
    assert refused.value.exit_code == EXIT_USAGE

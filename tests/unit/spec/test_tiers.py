"""Each tier's record, held against what it names."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pydantic import BaseModel

from components.host_files import CLOUD_INIT_DIR, PAIR
from spec.settings import Settings
from spec.tiers import TRAITS, Tier


def test_every_tier_has_a_record() -> None:
    assert set(TRAITS) == set(Tier)


@pytest.mark.parametrize("tier", Tier)
def test_a_tier_names_what_is_there(tier: Tier) -> None:
    traits = tier.traits
    group = Settings.model_fields[traits.settings_group].annotation
    assert isinstance(group, type)
    assert issubclass(group, BaseModel)
    assert ("volume_gib" in group.model_fields) == traits.data_volume
    assert ("count" in group.model_fields) == (traits.hosts is None)
    assert (CLOUD_INIT_DIR / tier / "files").is_dir()


def test_a_pair_folder_is_of_a_tier_that_may_be_one_or_two() -> None:
    paired = {tier for tier in Tier if (CLOUD_INIT_DIR / tier / PAIR).is_dir()}
    assert paired == {Tier.LB, Tier.CACHE, Tier.MONITOR}
    assert all((tier.traits.paired_with or tier).traits.hosts is None for tier in paired)


def test_addresses_of_two_tiers_in_one_subnet_do_not_meet() -> None:
    """Up to the application tier, which is last and may grow to the end of the subnet."""
    for public in (True, False):
        firsts = sorted(tier.traits.first_address for tier in Tier if tier.public is public)
        assert all(later - earlier >= 5 for earlier, later in pairwise(firsts))
    assert max(Tier, key=lambda tier: tier.traits.first_address) is Tier.APP

"""Each change is made in a copy of the program, and changes exactly the tiers that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from components import host_files
from components.bundles import bundles
from drills import changes
from drills.catalogue import CATALOGUE, on_stack
from drills.changes import CHANGES, Change, Edit, Expected, changed_program
from drills.release_variants import ReleaseVariant
from lab.program import host_contexts
from spec.project import REPOSITORY
from spec.release import find_release
from spec.stack_file import load_settings, stack_file
from spec.tiers import Tier
from tests.unit.drills.test_release_variants import write_application

STACKS = ("dev", "prod")


@pytest.fixture(scope="module", autouse=True)
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This checkout with a small release, which need not be built."""
    root = tmp_path_factory.mktemp("checkout")
    for one in REPOSITORY.iterdir():
        if one.name != "app":
            (root / one.name).symlink_to(one)
    write_application(root / "app/build/event-manager-1.0.0.tar.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "REPOSITORY", root)
        yield root


def digests(stack: str, cloud_init: Path) -> Mapping[Tier, str]:
    """The bundles that a program makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_files, "CLOUD_INIT_DIR", cloud_init)
        made = bundles(host_contexts(stack, load_settings(REPOSITORY, stack)).values())
    return {tier: bundle.digest for tier, bundle in made.items()}


def release(stack: str, program: Path) -> str:
    return find_release(load_settings(program, stack), program, source=stack_file(program, stack).name).digest


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_changes_exactly_its_tiers(change: Change, repository: Path) -> None:
    with changed_program(change) as program:
        for stack in STACKS:
            before, after = digests(stack, REPOSITORY / "cloud-init"), digests(stack, program / "cloud-init")
            bundled = {tier for tier in Tier if before[tier] != after[tier]}
            released = {Tier.APP} if release(stack, program) != release(stack, repository) else set()
            assert bundled == (set(change.tiers) if change.edit else set())
            assert released == (set(change.tiers) if change.release else set())
            assert bundled | released


def test_the_copy_has_the_whole_program_and_is_gone_afterwards() -> None:
    with changed_program(CHANGES["change-config-lb"]) as program:
        needed = {"__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"}
        needed |= {"components", "ops", "spec", "cloud-init", "app"}
        assert {one.name for one in program.iterdir()} == needed
        # The modules of a linked folder would take themselves for those of the checkout.
        assert [one for one in program.rglob("*") if one.is_symlink()] == []
    assert not program.exists()


@pytest.mark.parametrize(("text", "times"), [("", 0), ("a b a", 2)])
def test_an_edit_that_does_not_fit_the_file_is_an_error(text: str, times: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"file says 'a' {times} times"):
        Edit("file", "a", "b").apply(tmp_path)


def test_there_is_a_drill_for_each_tier_and_each_bad_change() -> None:
    good = {tier for change in CHANGES.values() if change.expected is Expected.APPLIED for tier in change.tiers}
    assert good == set(Tier)
    refused = {change.release for change in CHANGES.values() if change.expected is Expected.REFUSED}
    assert refused == {None, *ReleaseVariant} - {ReleaseVariant.GOOD}
    assert {one.name for one in CATALOGUE.values() if one.change} == set(CHANGES)
    assert all(one.reason for one in CHANGES.values() if one.expected is Expected.REFUSED)


def test_a_single_redis_is_away_while_it_restarts_and_one_of_two_is_not() -> None:
    drill = CATALOGUE["change-config-cache"]
    alone, pair = (on_stack(drill, load_settings(REPOSITORY, stack)).promise for stack in STACKS)
    assert (alone.outage_s, alone.failed) == (5.0, None)
    assert (pair.outage_s, pair.failed, pair.max_latency_s) == (None, 0, 3.0)

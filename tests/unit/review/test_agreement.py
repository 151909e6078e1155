"""A preview and compared files that contradict each other are noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from review.agreement import disagreements
from review.comment import comment
from review.document import Changes
from review.preview import Preview, read_preview
from spec.pointer import Pointer
from spec.tiers import Tier
from tests.unit.review import samples

OBJECT, INSTANCE = "aws:s3/bucketObjectv2:BucketObjectv2", "aws:ec2/instance:Instance"
Previewed = Callable[..., Preview]


@pytest.fixture
def previewed(tmp_path: Path) -> Previewed:
    def read(*steps: samples.Step, errors: tuple[str, ...] = ()) -> Preview:
        path = tmp_path / "preview.json"
        path.write_text(json.dumps(samples.preview(steps, errors)))
        return read_preview(path, "dev")

    return read


def pointer(tier: Tier, path: str = "content") -> samples.Step:
    return samples.step(
        "update", OBJECT, Pointer.resource_name(tier), old={path: "a"}, new={path: "b"}, diffReasons=[path]
    )


def with_host(fate: str, tier: Tier = Tier.LB, **more: Any) -> Changes:
    found = samples.changes()
    (stack,) = found.stacks
    host = stack.hosts[0].model_copy(update={"fate": fate, "tier": tier, "name": f"{tier}1"})
    return found.model_copy(update={"stacks": [stack.model_copy(update={"hosts": [host]})], **more})


def test_they_agree(previewed: Previewed) -> None:
    assert list(disagreements(previewed(pointer(Tier.LB)), samples.changes())) == []


def test_files_that_only_the_preview_changes(previewed: Previewed) -> None:
    (line,) = disagreements(previewed(pointer(Tier.LB), pointer(Tier.DB)), samples.changes())
    assert "the preview changes the files of tier db as well" in line


def test_files_that_the_preview_does_not_change(previewed: Previewed) -> None:
    for steps in ([pointer(Tier.LB, "tags")], []):
        (line,) = disagreements(previewed(*steps, pointer(Tier.APP, "tags")), samples.changes())
        assert "edits files of tier lb" in line


def test_a_release_changes_the_pointer_and_no_file(previewed: Previewed) -> None:
    seen = previewed(pointer(Tier.LB), pointer(Tier.APP))
    assert len(list(disagreements(seen, samples.changes()))) == 1
    sources = samples.changes().model_copy(update={"release": "app/ differs"})
    assert list(disagreements(seen, sources)) == []


@pytest.mark.parametrize(
    ("op", "fate", "told"),
    [
        ("replace", "changes", "lb1 is replaced by the preview, and kept by the files"),
        ("delete", "replaced", "lb1 is deleted by the preview, and replaced by the files"),
        ("create", "nothing", "lb1 is created by the preview, and kept"),
        (None, "removed", "lb1 is kept by the preview, and deleted by the files"),
    ],
)
def test_a_host_that_only_one_of_them_touches(previewed: Previewed, op: str | None, fate: str, told: str) -> None:
    steps = [samples.step(op, INSTANCE, "lb1")] if op else []
    (line,) = disagreements(previewed(pointer(Tier.LB), *steps), with_host(fate))
    assert line.startswith(told)


@pytest.mark.parametrize(("op", "fate"), [("replace", "replaced"), ("create", "added"), ("update", "restarts")])
def test_a_host_of_which_both_say_the_same(previewed: Previewed, op: str, fate: str) -> None:
    assert list(disagreements(previewed(pointer(Tier.LB), samples.step(op, INSTANCE, "lb1")), with_host(fate))) == []


def test_what_the_program_does_is_not_held_against_the_files(previewed: Previewed) -> None:
    seen = previewed(pointer(Tier.LB), samples.step("replace", INSTANCE, "lb1"))
    assert list(disagreements(seen, with_host("changes", program="components/ differs"))) == []


def test_a_new_host_brings_its_tiers_files(previewed: Previewed) -> None:
    seen = previewed(pointer(Tier.LB), pointer(Tier.APP), samples.step("create", INSTANCE, "app1"))
    assert list(disagreements(seen, with_host("added", Tier.APP))) == []


def test_nothing_is_said_of_half_a_story(previewed: Previewed) -> None:
    seen = previewed(pointer(Tier.DB))
    (stack,) = samples.changes().stacks
    for told in ({"new": True}, {"compared": False}, {"stack": "prod"}):
        half = samples.changes().model_copy(update={"stacks": [stack.model_copy(update=told)]})
        assert list(disagreements(seen, half)) == []
    assert list(disagreements(previewed(pointer(Tier.DB), errors=("no",)), samples.changes())) == []


def test_the_comment_says_so(previewed: Previewed) -> None:
    made = comment(changes=samples.changes(), previews=[previewed(pointer(Tier.DB))])
    assert "⚠️ dev: the preview changes the files of tier db" in made.text

"""What the program declares of a release: an object by its digest, which stays; nothing of one that is uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cost.program import record, with_release
from spec.project import PROJECT, REPOSITORY
from spec.release import Release, find_release
from spec.settings import Settings
from spec.stack_file import parse_settings, read_stack_config
from tests.stacks import STACKS
from tests.unit.program.recorded import Program
from tests.unit.release_archives import compressed_in_two_ways, file, tar_of, write_release

OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
NAME = "app/build/app-1.0.0.tar.gz"


def config(release: str) -> dict[str, Any]:
    kept = read_stack_config(STACKS, "dev")
    settings = kept[f"{PROJECT}:settings"]
    return {**kept, f"{PROJECT}:settings": {**settings, "application": {**settings["application"], "release": release}}}


def declared(view: Path, release: str) -> Program:
    recording = record(view, "dev", config(release))
    return Program(recording.registrations, recording.registered_outputs)


def release_of(view: Path, release: str) -> Release:
    settings: Settings = parse_settings(config(release)[f"{PROJECT}:settings"], "us-east-1", source="Pulumi.dev.yaml")
    return find_release(settings, view, source="Pulumi.dev.yaml")


def inputs_by_name(program: Program) -> dict[str, Any]:
    return {f"{r.type} {r.name}": r.inputs for r in program.resources if r.type.startswith("aws:")}


def test_a_release_compressed_by_another_zlib_changes_nothing() -> None:
    with with_release(REPOSITORY, NAME) as view:
        runs = []
        for archive in compressed_in_two_ways(tar_of([file("app-1.0.0/x", "x" * 5000)])):
            (view / NAME).write_bytes(archive)
            runs.append(inputs_by_name(declared(view, NAME)))
            digest = release_of(view, NAME).digest
            uploaded = runs[-1][f"{OBJECT} artifacts-release"]
            # The engine compares assets by their hash, and computes only one that is not given.
            assert uploaded["source"]["hash"] == uploaded["sourceHash"] == digest
            assert uploaded["key"] == f"releases/{digest}.tar.gz"
            assert uploaded["source"]["path"] == str(view / NAME)
    assert runs[0] == runs[1]


def test_another_release_is_another_object_and_the_former_one_stays() -> None:
    with with_release(REPOSITORY, NAME) as view:
        keys = set()
        for text in ("one", "two"):
            write_release(view / NAME, {"app-1.0.0/x": text})
            uploaded = declared(view, NAME).named(OBJECT, "artifacts-release")
            assert uploaded.retain_on_delete
            keys.add(uploaded.inputs["key"])
    assert len(keys) == 2


def test_a_release_that_was_uploaded_before_needs_no_file_and_is_no_object() -> None:
    with with_release(REPOSITORY, NAME) as view:
        digest = release_of(view, NAME).digest
        with_file, without = declared(view, NAME), declared(view, digest)
    with with_release(REPOSITORY, digest) as folder:
        assert folder == REPOSITORY
    before, after = inputs_by_name(with_file), inputs_by_name(without)
    assert set(before) - set(after) == {f"{OBJECT} artifacts-release"}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{OBJECT} settings", f"{OBJECT} settings-in-force"}  # they keep each setting as it was given

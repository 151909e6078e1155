"""What the engine says about the stack's state."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from ops import engine
from spec.errors import HaError

BUCKET = {"type": "aws:s3/bucket:Bucket", "outputs": {"bucket": "ha-dev-backups"}}
OBJECT = {"type": "aws:s3/bucketObjectv2:BucketObjectv2", "outputs": {"bucket": "ha-dev"}}
Answers = Mapping[str, list[Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(engine, "_PAUSE_S", 0)
    for name in ("organization", "project", "stack"):
        monkeypatch.setattr(pulumi, f"get_{name}", lambda name=name: name)
    return []


def answer(monkeypatch: pytest.MonkeyPatch, asked: list[str], answers: Answers) -> None:
    def invoke(token: str, args: Mapping[str, str]) -> Any:
        assert set(args.values()) == {"organization/project/stack"}
        what = token.rpartition(":")[2]
        asked.append(what)
        found = answers[what][min(asked.count(what), len(answers[what])) - 1]
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(value={"outputs": found})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)


def test_buckets_of_the_state_are_known_by_name(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    outputs, resources = {"url": "http://"}, {"urn:1": BUCKET, "urn:2": OBJECT}
    answer(monkeypatch, asked, {"readStackOutputs": [outputs], "readStackResourceOutputs": [resources]})
    assert engine._buckets_in_state() == {"ha-dev-backups"}


def test_a_stack_without_outputs_is_not_asked_for_resources(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    answer(monkeypatch, asked, {"readStackOutputs": [{}]})
    assert engine._buckets_in_state() == set()
    assert asked == ["readStackOutputs"]


def test_a_state_that_is_being_written_is_read_again(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    written = Exception("failed to load checkpoint: EOF")
    answer(monkeypatch, asked, {"readStackOutputs": [written, {}]})
    assert engine._buckets_in_state() == set()
    answer(monkeypatch, asked, {"readStackOutputs": [written]})
    with pytest.raises(HaError, match="failed to load checkpoint"):
        engine._buckets_in_state()

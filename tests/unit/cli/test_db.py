"""`ha db` as a user meets it, against a pair that is made up."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from cli.main import app
from ops import switchover
from ops.lease import Lease
from spec.errors import HaError
from tests.unit.conftest import Bucket
from tests.unit.ops.pair import Pair


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> Callable[[Pair], None]:
    def to(pair: Pair) -> None:
        monkeypatch.setattr(switchover, "_POLL_S", 0.0)
        monkeypatch.setattr("ops.lease._leases", {})
        monkeypatch.setattr(pair, "client", bucket.api.client, raising=False)
        monkeypatch.setattr("cli.connect.connect", lambda *_, **__: pair)

    return to


def test_the_command_says_who_is_primary_and_how_long_it_took(connected: Callable[[Pair], None]) -> None:
    connected(Pair(looks=1))
    done = CliRunner().invoke(app, ["--lab", "db", "switchover", "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["primary_before"] == "db1"
    assert found["primary_after"] == "db2"
    assert found["writable_s"] == 1.423
    assert found["took_s"] >= 0
    assert "switching over from db1 to db2" in done.stderr


def test_the_command_in_words(connected: Callable[[Pair], None]) -> None:
    connected(Pair(looks=1))
    done = CliRunner().invoke(app, ["--lab", "db", "switchover"])
    assert "dev on lab: db2 is the primary now, db1 was. It accepted writes after 1.4 s" in done.stdout


def test_the_command_is_refused_while_another_operation_runs(connected: Callable[[Pair], None], bucket: Bucket) -> None:
    pair = Pair(looks=1)
    connected(pair)
    with Lease(bucket.s3, bucket.name, "pulumi up"):
        done = CliRunner().invoke(app, ["--lab", "db", "switchover"])
    assert isinstance(done.exception, HaError)
    assert "another operation is under way: 'pulumi up'" in done.exception.what
    assert pair.asked == []

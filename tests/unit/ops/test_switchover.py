"""`ha db switchover` against an estate that is made up: what it refuses, what it runs where, what it waits for."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ops import switchover as module
from ops.estate import CommandResult, Estate
from ops.lease import Lease, look
from ops.switchover import MAX_LAG_BYTES, hand_over, switchover
from spec.errors import EXIT_FAILED, HaError
from tests.unit.conftest import Bucket
from tests.unit.ops.pair import Pair


def estate(pair: Pair) -> Estate:
    return cast(Estate, pair)


@pytest.fixture
def lease(bucket: Bucket) -> Lease:
    return Lease(bucket.s3, bucket.name, "ha db switchover")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"db1": {"role": "down"}}, "there is no primary"),
        ({"db1": {"role": "read-only"}}, "there is no primary"),
        ({"db2": {"role": "primary"}}, "there is no primary"),
        ({"db2": {"role": "down"}}, "db1 has no standby"),
        ({"db1": {"replication": "async"}}, "db2 is not in synchronous replication with db1 (async)"),
        ({"db1": {"replication": "none"}}, "db2 is not in synchronous replication with db1 (none)"),
        ({"db1": {"lag_bytes": MAX_LAG_BYTES + 1}}, f"db2 lags {MAX_LAG_BYTES + 1} bytes behind db1"),
        ({"db1": {"goal_state": "wait_primary"}}, "db1 is changing its state (primary, assigned wait_primary)"),
        ({"db2": {"node_state": "catchingup"}}, "db2 is changing its state (catchingup, assigned secondary)"),
    ],
)
def test_a_pair_that_is_not_fit_is_refused_and_not_touched(
    lease: Lease, changed: dict[str, dict[str, Any]], why: str
) -> None:
    pair = Pair(changed=changed)
    with pytest.raises(HaError) as refused:
        switchover(estate(pair), lease, lambda _: None)
    assert why in refused.value.what
    assert "nothing was changed" in refused.value.what
    assert refused.value.exit_code == EXIT_FAILED
    assert pair.commands == []


def test_a_host_that_does_not_answer_is_no_standby() -> None:
    pair = Pair()
    pair.facts["db2"] = None
    with pytest.raises(HaError, match="db1 has no standby"):
        hand_over(estate(pair), lambda _: None)
    assert pair.commands == []


def test_a_standby_may_lag_a_little(lease: Lease) -> None:
    done = switchover(estate(Pair(looks=1, changed={"db1": {"lag_bytes": MAX_LAG_BYTES}})), lease, lambda _: None)
    assert done.lag_bytes == MAX_LAG_BYTES


def test_the_primary_is_handed_over_by_its_standby_and_only_database_hosts_are_asked(lease: Lease) -> None:
    pair = Pair(looks=3)
    said: list[str] = []
    done = switchover(estate(pair), lease, said.append)
    assert (done.primary_before, done.primary_after, done.lag_bytes, done.writable_s) == ("db1", "db2", 24, 1.423)
    assert [host for host, _ in pair.commands] == ["db1", "db2"]
    ready, hand = (command for _, command in pair.commands)
    assert ready.startswith("systemctl stop ha-backup-now.service ")
    assert ready.endswith("-c checkpoint")
    assert hand == module.HAND_OVER
    assert set(pair.asked) == {"db1", "db2"}
    assert any("from db1 to db2" in line for line in said)


def test_a_monitor_that_refuses_is_told_in_its_own_words(lease: Lease) -> None:
    pair = Pair()
    pair.result = CommandResult(
        1, "", "\x1b]0;owned\x07ERROR:  cannot fail over: primary node is not in a stable state\n"
    )
    with pytest.raises(HaError, match="cannot fail over: primary node is not in a stable state") as failed:
        switchover(estate(pair), lease, lambda _: None)
    assert failed.value.what.isprintable()
    assert failed.value.where == "db2"


def test_redundancy_that_does_not_come_back_is_told(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDUNDANT_WITHIN_S", 0.05)
    with pytest.raises(HaError, match="db2 is the primary now, but db1 did not become its synchronous standby"):
        switchover(estate(Pair(looks=-1)), lease, lambda _: None)


def test_it_is_the_one_operation_on_the_estate_until_it_has_ended(bucket: Bucket, lease: Lease) -> None:
    held: list[bool] = []
    switchover(estate(Pair(looks=1)), lease, lambda _: held.append(look(bucket.s3, bucket.name).held))
    assert held
    assert all(held)
    assert not look(bucket.s3, bucket.name).held


def test_while_another_operation_runs_it_is_refused_and_nothing_is_touched(bucket: Bucket, lease: Lease) -> None:
    pair = Pair()
    with Lease(bucket.s3, bucket.name, "pulumi up"):
        with pytest.raises(HaError, match="another operation is under way: 'pulumi up'"):
            switchover(estate(pair), lease, lambda _: None)
        assert pair.asked == []


def test_the_operation_that_holds_the_lease_may_switch_over(bucket: Bucket, lease: Lease) -> None:
    with lease:
        switchover(estate(Pair(looks=1)), lease, lambda _: None)
        assert look(bucket.s3, bucket.name).held

"""The lease of an estate, against S3's conditional writes on a port of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from lab.aws.service import operator_environment
from ops import lease as module
from ops.lease import KEY, Lease, LeaseLost, LeaseRecord, free, look, process_lease
from ops.objects import Conflict, replace
from spec.errors import HaError
from spec.project import REPOSITORY
from tests.unit.conftest import Bucket

PAST = datetime(2026, 1, 1, tzinfo=UTC)

Make = Callable[..., Lease]


@pytest.fixture
def lease(bucket: Bucket) -> Iterator[Make]:
    """Makes leases, and frees them after the test."""
    made: list[Lease] = []

    def make(what: str = "pulumi up", **more: Any) -> Lease:
        made.append(Lease(bucket.s3, bucket.name, what, **more))
        return made[-1]

    yield make
    for one in made:
        one._end()


def _put(bucket: Bucket, **changed: Any) -> None:
    """The lease of another operation; it has not expired unless `until` says so."""
    record = LeaseRecord(
        holder="another",
        what="ha db switchover",
        by="ann@desk",
        since=PAST,
        until=datetime.now(UTC) + timedelta(seconds=50),
    )
    bucket.put(KEY, record.model_copy(update=changed).model_dump_json().encode())


def _eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False


def _fails(*_: Any) -> Any:
    raise HaError("S3 cannot be asked: no route")


def test_a_free_lease_is_taken_and_says_by_whom(bucket: Bucket, lease: Make) -> None:
    with lease("pulumi up"):
        seen = look(bucket.s3, bucket.name)
        assert seen.held
        assert seen.record is not None
        assert seen.record.what == "pulumi up"
        assert "@" in seen.record.by
        assert seen.record.until - seen.record.since == timedelta(seconds=60)
    assert not look(bucket.s3, bucket.name).held


def test_a_held_lease_is_refused_with_who_what_and_since_when(bucket: Bucket, lease: Make) -> None:
    _put(bucket)
    with pytest.raises(HaError) as refused:
        lease().take()
    assert "'ha db switchover' by ann@desk, since 2026-01-01 00:00:00 UTC; its lease lasts until 20" in str(
        refused.value
    )
    assert f"s3://{bucket.name}/operations/lease" in str(refused.value)
    assert "`ha unlock` if that operation has died" in refused.value.fix


def test_an_expired_lease_is_taken_over(bucket: Bucket, lease: Make) -> None:
    _put(bucket, until=PAST)
    with lease():
        pass


@pytest.mark.parametrize(("hours", "held"), [(-1, True), (1, False)])
def test_the_clock_of_s3_decides_what_has_expired(bucket: Bucket, hours: int, held: bool) -> None:
    _put(bucket)
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)

    def other_clock(parsed: dict[str, Any], **_: Any) -> None:
        parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = date

    bucket.s3.meta.events.register("after-call.s3.GetObject", other_clock)
    assert look(bucket.s3, bucket.name).held is held


def test_of_threads_that_want_it_at_once_one_gets_it(bucket: Bucket, lease: Make) -> None:
    wanting = [lease() for _ in range(8)]
    start = threading.Barrier(len(wanting))
    took: list[Lease] = []
    refused: list[HaError] = []

    def want(one: Lease) -> None:
        start.wait()
        try:
            one.take()
            took.append(one)
        except HaError as error:
            refused.append(error)

    threads = [threading.Thread(target=want, args=(one,)) for one in wanting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 1
    assert len(refused) == len(wanting) - 1
    took[0].check()


_PROGRAM = """
import sys, boto3
from botocore.config import Config
from ops.lease import Lease
from spec.errors import HaError
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
print("ready", flush=True)
sys.stdin.readline()
try:
    Lease(s3, sys.argv[1], "pulumi up").take()
    print("took", flush=True)
except HaError as error:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_of_processes_that_want_it_at_once_one_gets_it_and_its_end_frees_it(bucket: Bucket) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        **operator_environment(bucket.api.url, "us-east-1"),
    }
    wanting = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, bucket.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(3)
    ]

    def said(one: subprocess.Popen[str]) -> str:
        assert one.stdout is not None
        return one.stdout.readline().strip()

    def go(one: subprocess.Popen[str]) -> None:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()

    assert [said(one) for one in wanting] == ["ready"] * 3
    for one in wanting:
        go(one)
    assert sorted(said(one) for one in wanting) == ["refused", "refused", "took"]
    assert look(bucket.s3, bucket.name).held
    for one in wanting:
        one.communicate("\n")
        assert one.returncode == 0
    assert not look(bucket.s3, bucket.name).held


def test_threads_of_a_process_share_its_lease_and_the_last_one_frees_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_leases", {})
    hook, other = (process_lease(bucket.s3, bucket.name, what) for what in ("pulumi up", "ha db switchover"))
    assert hook is other
    hook.take()
    with other:
        seen = look(bucket.s3, bucket.name)
        assert seen.record is not None
        assert seen.record.what == "pulumi up"
    assert look(bucket.s3, bucket.name).held
    hook.release()
    assert not look(bucket.s3, bucket.name).held


def test_a_release_may_be_repeated_and_frees_nobody_elses_lease(bucket: Bucket, lease: Make) -> None:
    first, second = lease(), lease("ha db switchover")
    first.release()
    first.take()
    first.release()
    first.release()
    second.take()
    first.release()
    second.check()
    with pytest.raises(HaError, match="'ha db switchover' by"):
        first.take()


def test_a_lease_is_renewed_while_it_is_held(bucket: Bucket, lease: Make) -> None:
    one = lease(term_s=3)
    one.take()
    began = look(bucket.s3, bucket.name).record
    assert began is not None

    def renewed() -> bool:
        record = look(bucket.s3, bucket.name).record
        return record is not None and record.until >= began.until + timedelta(seconds=2)

    assert _eventually(renewed)
    one.check()
    one.release()
    ended = look(bucket.s3, bucket.name)
    assert not _eventually_changes(bucket, ended.etag, within_s=1.5)


def _eventually_changes(bucket: Bucket, etag: str, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if look(bucket.s3, bucket.name).etag != etag:
            return True
        time.sleep(0.1)
    return False


def test_a_lease_that_another_operation_took_over_is_lost(bucket: Bucket, lease: Make) -> None:
    one = lease()
    one.take()
    _put(bucket)
    for _ in range(2):
        with pytest.raises(LeaseLost, match="'ha db switchover' by ann@desk has held it since 2026-01-01"):
            one.check()
    with pytest.raises(LeaseLost):
        one.take()
    one.release()
    assert look(bucket.s3, bucket.name).holder == "another"


def test_a_lease_that_somebody_freed_is_lost(bucket: Bucket, lease: Make) -> None:
    one = lease()
    one.take()
    free(bucket.s3, bucket.name, look(bucket.s3, bucket.name))
    with pytest.raises(LeaseLost, match="somebody freed it with `ha unlock`"):
        one.check()
    lease("ha db switchover").take()


def test_a_failure_of_s3_is_tolerated_until_the_lease_ends(lease: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = lease()
    one.take()
    with monkeypatch.context() as away:
        away.setattr(module, "look", _fails)
        one.check()
        away.setattr(one, "_safe_until", time.monotonic())
        with pytest.raises(LeaseLost, match=r"could not be renewed within 60 s: S3 cannot be asked: no route"):
            one.check()
    one.check()


def test_a_lease_that_expired_is_still_its_holders_when_nobody_took_it(bucket: Bucket, lease: Make) -> None:
    one = lease()
    one.take()
    record = look(bucket.s3, bucket.name).record
    assert record is not None
    bucket.put(KEY, record.model_copy(update={"until": PAST}).model_dump_json().encode())
    one.check()
    assert look(bucket.s3, bucket.name).held


def test_a_write_whose_answer_was_lost_is_recognised(lease: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends such a write again, and S3 answers 412 to that."""

    def written_but_refused(*arguments: Any) -> str:
        replace(*arguments)
        monkeypatch.setattr(module, "replace", replace)
        raise Conflict

    one = lease()
    monkeypatch.setattr(module, "replace", written_but_refused)
    one.take()
    monkeypatch.setattr(module, "replace", written_but_refused)
    one.check()


def test_what_was_renewed_since_it_was_seen_expired_is_not_taken(
    bucket: Bucket, lease: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(bucket, until=PAST)

    def late(*arguments: Any) -> str:
        monkeypatch.setattr(module, "replace", replace)
        _put(bucket)
        return replace(*arguments)

    monkeypatch.setattr(module, "replace", late)
    with pytest.raises(HaError, match="another operation is under way"):
        lease().take()
    assert look(bucket.s3, bucket.name).holder == "another"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Invalid JSON"),
        (b'{"holder": ', "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'{"holder": "a"}', "what: Field required"),
        (b'{"holder":"a","what":"\x1b[2J","by":"b","since":"x","until":"y"}', "Invalid JSON"),
        (b'{"holder":"a","what":"\\u001b[2J","by":"b","since":"x","until":"y"}', "what: String should match"),
    ],
)
def test_a_damaged_lease_is_told_and_can_be_replaced(bucket: Bucket, lease: Make, body: bytes, why: str) -> None:
    bucket.put(KEY, body)
    with pytest.raises(HaError, match="the lease is damaged") as refused:
        lease().take()
    assert why in refused.value.what
    assert "\x1b" not in refused.value.what
    free(bucket.s3, bucket.name, look(bucket.s3, bucket.name))
    lease().take()


def test_a_lease_that_was_damaged_meanwhile_is_lost(bucket: Bucket, lease: Make) -> None:
    one = lease()
    one.take()
    bucket.put(KEY, b"{")
    with pytest.raises(LeaseLost, match="Invalid JSON"):
        one.check()


def test_a_lease_is_freed_although_its_holder_renewed_it_but_not_another_ones(bucket: Bucket, lease: Make) -> None:
    one = lease()
    one.take()
    seen = look(bucket.s3, bucket.name)
    assert seen.record is not None
    renewed = seen.record.model_copy(update={"until": seen.record.until + timedelta(seconds=20)})
    bucket.put(KEY, renewed.model_dump_json().encode())
    free(bucket.s3, bucket.name, seen)
    assert not look(bucket.s3, bucket.name).held
    _put(bucket)
    with pytest.raises(HaError, match="'ha db switchover' by ann@desk"):
        free(bucket.s3, bucket.name, seen)
    assert look(bucket.s3, bucket.name).held


def test_before_the_first_up_there_is_no_lease_and_none_to_take(bucket: Bucket) -> None:
    assert not look(bucket.s3, "ha-of-nobody").held
    with pytest.raises(HaError, match="the artifact bucket ha-of-nobody does not exist"):
        Lease(bucket.s3, "ha-of-nobody", "pulumi up").take()

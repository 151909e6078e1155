"""The engine's hooks: which of them acts, and what each override lets pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

from components.hosts import ChangeHooks
from ops import hooks, in_service, record, roll_out
from ops.engine import hooks_of
from ops.estate import Instance
from ops.hooks import _Change
from ops.lease import Lease
from spec import ports
from spec.changes import IN_FORCE_KEY
from spec.errors import HaError
from spec.overrides import NAMES
from spec.pointer import Pointer
from spec.scope import Scope
from spec.settings import Settings
from spec.tiers import Tier
from tests.unit.cloud_init.rendering import estate
from tests.unit.conftest import BUCKET, Bucket
from tests.unit.ops.fake_hosts import V1, V2, V3, FakeEstate
from tests.unit.ops.test_overrides import Sns

ACCOUNT = "123456789012"


class Hooks:
    """The hooks of one `up` on an estate that was complete."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.estate = FakeEstate()
        self.sns = Sns()
        self.account = ACCOUNT
        caller = SimpleNamespace(get_caller_identity=lambda: {"Account": self.account})
        self.estate.clients = {"s3": bucket.s3, "sns": self.sns, "sts": caller}
        bucket.put("in-service", b"")

    @property
    def change(self) -> _Change:
        estate: Any = self.estate
        scope = Scope(
            partition="aws", account=ACCOUNT, region="us-east-1", project="ha", stack="dev", artifact_bucket=BUCKET
        )
        return _Change(scope, estate, frozenset(self.estate.hosts))

    def recorded(self) -> list[str]:
        found = self.bucket.s3.list_objects_v2(Bucket=BUCKET, Prefix="operations/overrides/").get("Contents", ())
        return [json.loads(self.bucket.get(one["Key"]))["what"] for one in found]


def _args(**more: Any) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs("urn", "id", "name", "type", **more)


DB1 = {"key": "in-service/db1/i-0123"}
DELETED, CREATED = _args(old_inputs=DB1), _args(new_inputs=DB1)
UPDATED = _args(
    old_inputs={"key": "pointers/app", "content": V1.to_json()},
    new_inputs={"key": "pointers/app", "content": V2.to_json(), "metadata": {"settles": "3"}},
)


@pytest.fixture
def made(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooks]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    monkeypatch.setattr(hooks, "_say", said.append)
    for module in (in_service, roll_out):
        monkeypatch.setattr(module, "GATE_S", 0.0)
        monkeypatch.setattr(module, "SETTLES_S", 0.0)
    with Lease(bucket.s3, bucket.name, "pulumi up") as lease:
        monkeypatch.setattr(hooks, "process_lease", lambda *_: lease)
        yield Hooks(bucket)
        lease.release()


def test_without_an_engine_there_are_no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulumi.runtime.settings.get_monitor", lambda: object.__new__(MockMonitor))
    nothing: Any = None
    assert hooks_of(nothing, nothing) == ChangeHooks()


def test_a_pointers_update_rolls_out_and_the_end_of_it_closes_the_record(made: Hooks) -> None:
    made.change.roll_out(UPDATED)
    assert {made.estate[name].confirmed for name in ("app1", "app2", "app3")} == {V2}
    record = json.loads(made.bucket.get("operations/roll-out/app"))
    assert (record["open"], record["settles"], record["from"]["bundle"]) == (True, 3, V1.bundle)
    made.change.rolled_out(UPDATED)
    assert json.loads(made.bucket.get("operations/roll-out/app"))["open"] is False


def test_an_estate_that_was_never_complete_is_settled_by_the_update_after_it_is(made: Hooks) -> None:
    made.bucket.s3.delete_object(Bucket=BUCKET, Key="in-service")
    made.estate.gone.add("monitor1")
    change = made.change
    change.roll_out(UPDATED)
    change.rolled_out(UPDATED)
    assert {made.estate[name].confirmed for name in ("app1", "app2", "app3")} == {V1}
    left = record.read(made.bucket.s3, BUCKET, Tier.APP)
    assert left is not None
    assert (left.open, left.settles, record.settles(left)) == (True, 3, 4)

    made.estate.gone.clear()
    made.bucket.put("in-service", b"")
    again = _args(
        old_inputs=UPDATED.new_inputs, new_inputs={**(UPDATED.new_inputs or {}), "metadata": {"settles": "4"}}
    )
    change = made.change
    change.roll_out(again)
    change.rolled_out(again)
    assert {made.estate[name].confirmed for name in ("app1", "app2", "app3")} == {V2}
    closed = record.read(made.bucket.s3, BUCKET, Tier.APP)
    assert closed is not None
    assert (closed.open, record.settles(closed)) == (False, 4)


def test_a_host_of_an_estate_that_was_never_complete_is_replaced_without_a_wait(made: Hooks) -> None:
    made.bucket.s3.delete_object(Bucket=BUCKET, Key="in-service")
    made.estate.gone.add("monitor1")
    change = made.change
    change.hands_over(DELETED)
    change.serves(CREATED)
    assert made.estate.done == []


@pytest.mark.parametrize("complete", [True, False])
def test_only_an_estate_that_was_complete_refuses_settings(made: Hooks, complete: bool) -> None:
    if not complete:
        made.bucket.s3.delete_object(Bucket=BUCKET, Key="in-service")
    document = {
        "ports": ports.by_name(),
        "settings": estate()["db1"].settings.model_dump(mode="json", exclude={"budget_monthly_usd"}),
    }
    moved = {**document, "ports": {**document["ports"], next(iter(document["ports"])): 1}}
    args = _args(old_inputs={"content": json.dumps(moved)}, new_inputs={"content": json.dumps(document)})
    refused = pytest.raises(HaError, match="cannot move from 1") if complete else nullcontext()
    with refused:
        made.change.refuses(args)


def test_what_hosts_go_back_to_is_what_the_pointer_says_and_not_what_the_state_says(made: Hooks) -> None:
    """An engine that was killed has written the pointer, and not its state."""
    for host in made.estate.hosts.values():
        host.confirmed = host.placed = V3
    made.bucket.put("pointers/app", V3.to_json().encode())
    made.estate["app2"].takes[V2.bundle] = "refuses"
    with pytest.raises(HaError, match=f"every host runs {V3} again"):
        made.change.roll_out(UPDATED)


@pytest.mark.parametrize("stored", [b"", b"no pointer"])
def test_a_damaged_pointer_is_written_again(made: Hooks, stored: bytes) -> None:
    made.bucket.put("pointers/app", stored)
    made.change.roll_out(UPDATED)
    assert made.estate["app1"].confirmed == V2


def test_hosts_that_are_down_are_left_out_by_name(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    made.estate["app1"].reachable = made.estate["app2"].reachable = False
    monkeypatch.setenv("HA_WITHOUT", "app1,")
    with pytest.raises(HaError, match="HA_WITHOUT=app2"):
        made.change.roll_out(UPDATED)
    monkeypatch.setenv("HA_WITHOUT", "app1,app2")
    made.change.roll_out(UPDATED)
    assert made.estate["app3"].confirmed == V2


def test_a_host_hands_over_and_is_waited_for(made: Hooks) -> None:
    made.change.hands_over(DELETED)
    assert made.estate.done == ["db1 hands over"]
    made.change.serves(CREATED)
    made.estate["db1"].healthy = False
    with pytest.raises(HaError, match="db1 does not serve"):
        made.change.serves(CREATED)


def test_gates_that_are_off_pass_at_once_recorded_and_alerted(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    made.estate["db1"].healthy = made.estate["db2"].healthy = False
    monkeypatch.setenv("HA_GATES", "off")
    change = made.change
    change.hands_over(DELETED)
    change.serves(CREATED)
    assert made.estate.done == []
    assert sorted(made.recorded()) == ["db1 does not hand over", "db1 is not waited for"]
    assert len(made.sns.published) == 1
    assert made.sns.published[0]["TopicArn"] == f"arn:aws:sns:us-east-1:{ACCOUNT}:ha-dev-alerts"


def test_gates_that_would_have_passed_are_not_recorded(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    made.bucket.s3.delete_object(Bucket=BUCKET, Key="in-service")
    monkeypatch.setenv("HA_GATES", "off")
    made.change.serves(CREATED)
    assert made.recorded() == []


@pytest.mark.parametrize("given", ["", "0", "off"])
def test_the_estate_is_not_destroyed_without_the_word(made: Hooks, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HA_DESTROY", given)
    with pytest.raises(HaError, match="the stack dev is not destroyed") as failed:
        made.change.destroys(_args(old_inputs={"key": "in-service"}))
    assert failed.value.fix == "HA_DESTROY=1 pulumi destroy --run-program"


def test_with_it_nothing_is_handed_over(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HA_DESTROY", "1")
    made.estate["db2"].healthy = False
    made.change.destroys(_args(old_inputs={"key": "in-service"}))
    made.bucket.s3.delete_object(Bucket=BUCKET, Key="in-service")
    made.change.hands_over(DELETED)
    assert made.estate.done == []


def test_a_destroy_is_refused_while_a_host_is_there_that_no_state_knows(
    made: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_DESTROY", "1")
    made.estate.launched.append(
        Instance("i-restore1", "restore1", Tier.RESTORE, "10.20.0.26", None, "us-east-1a", "running")
    )
    with pytest.raises(HaError, match="restore1 is there") as refused:
        made.change.destroys(_args(old_inputs={"key": "in-service"}))
    assert "ha db restore --end" in refused.value.fix


def test_the_word_for_a_destroy_lets_no_replacement_pass(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was exported for another estate, say."""
    monkeypatch.setenv("HA_DESTROY", "1")
    made.change.hands_over(DELETED)
    assert made.estate.done == ["db1 hands over"]


@pytest.mark.parametrize(("hook", "args"), [("roll_out", UPDATED), ("hands_over", DELETED), ("serves", CREATED)])
def test_the_credentials_of_another_account_are_refused(
    made: Hooks, hook: str, args: pulumi.ResourceHookArgs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_GATES", "off")
    made.account = "210987654321"
    with pytest.raises(HaError, match=f"the credentials are of the account 210987654321, but .* of {ACCOUNT}"):
        getattr(made.change, hook)(args)
    assert made.estate.done == []


SETTINGS = Settings.model_validate({"region": "us-east-1", "network": {"zones": ["us-east-1a", "us-east-1b"]}})


def _applied(**changes: Any) -> dict[str, str]:
    settings = SETTINGS.model_dump(mode="json", exclude={"budget_monthly_usd"}) | changes
    return {"content": json.dumps({"ports": ports.by_name(), "settings": settings})}


SMALLER = _args(old_inputs=_applied(), new_inputs=_applied(database=SETTINGS.database.model_dump() | {"volume_gib": 8}))


def test_settings_that_the_running_estate_cannot_take_are_refused(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    made.change.refuses(_args(old_inputs=_applied(), new_inputs=_applied()))
    with pytest.raises(HaError, match=r"database.volume_gib cannot shrink from 20 to 8"):
        made.change.refuses(SMALLER)
    assert made.recorded() == []
    monkeypatch.setenv("HA_GATES", "off")
    made.change.refuses(SMALLER)
    (what,) = made.recorded()
    assert "database.volume_gib cannot shrink" in what


def test_the_bucket_of_a_running_estate_stays(made: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HaError, match="cannot take this change"):
        made.change.stays(_args(old_inputs=_applied()))
    monkeypatch.setenv("HA_DESTROY", "1")
    made.change.stays(_args(old_inputs=_applied()))


def test_hosts_that_no_pointer_is_for_are_of_an_older_version(made: Hooks) -> None:
    with pytest.raises(HaError, match=r"rebuilt, not converted"):
        made.change.refuse_older_estate()
    made.bucket.put(Pointer.key(Tier.APP), V1.to_json().encode())
    made.change.refuse_older_estate()


def test_settings_are_compared_with_those_in_force_too(made: Hooks) -> None:
    """After an update that failed in the middle, hosts may still have the settings before it."""

    def timers(fence_lease_ms: int, primary_demote_ms: int) -> dict[str, str]:
        both = {"fence_lease_ms": fence_lease_ms, "primary_demote_ms": primary_demote_ms}
        return _applied(timers=SETTINGS.timers.model_dump() | both)

    short, between, long = timers(600, 760), timers(600, 1000), timers(840, 1000)
    step = _args(old_inputs=between, new_inputs=long)
    made.change.refuses(step)
    made.bucket.put(IN_FORCE_KEY, short["content"].encode())
    with pytest.raises(HaError, match="Take two steps"):
        made.change.refuses(step)

"""What a roll-out promises, against hosts that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import record, roll_out
from ops.lease import KEY, Lease
from ops.record import HostProgress, RollOutRecord
from ops.roll_out import RollOut, finish
from spec.errors import HaError
from spec.pointer import Pointer
from spec.tiers import Tier
from tests.unit.conftest import Bucket
from tests.unit.ops.fake_hosts import NOTHING, V1, V2, V3, FakeEstate, FakeHost, Takes


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GATE_S": 0.05, "SETTLES_S": 0.05, "_POLL_S": 0.01}.items():
        monkeypatch.setattr(roll_out, name, value)


class Update:
    """An estate whose pointers say V1, and `up`s of it."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.estate = FakeEstate()
        self.said: list[str] = []
        self.lease = Lease(bucket.s3, bucket.name, "pulumi up")
        self.planned = list(self.estate.hosts)
        self.ups = 0

    def up(self, tier: Tier = Tier.APP, to: Pointer = V2, without: str = "") -> None:
        self.estate.done.clear()
        self.ups += 1
        estate: Any = self.estate
        RollOut(
            estate=estate,
            s3=self.bucket.s3,
            bucket=self.bucket.name,
            lease=self.lease,
            tier=tier,
            before=V1,
            to=to,
            settles=record.settles(self.record(tier)),
            say=self.said.append,
            planned=self.planned,
            without=without.split(),
        ).run()

    def fails(self, tier: Tier = Tier.APP, to: Pointer = V2, without: str = "") -> str:
        with pytest.raises(HaError) as failed:
            self.up(tier, to, without)
        return str(failed.value)

    def record(self, tier: Tier = Tier.APP) -> RollOutRecord | None:
        return record.read(self.bucket.s3, self.bucket.name, tier)

    @property
    def open(self) -> bool:
        found = self.record()
        return found is not None and found.open

    def runs(self) -> dict[str, str]:
        """What the application hosts run for good."""
        apps = [host for host in self.estate.hosts.values() if host.tier is Tier.APP]
        assert all(host.placed == host.confirmed for host in apps if host.reachable)
        return {host.name: host.confirmed.bundle[0] for host in apps}

    def touched(self) -> list[str]:
        """The changes, without what changes nothing."""
        return [one for one in self.estate.done if " check " not in one]


@pytest.fixture
def update(bucket: Bucket) -> Iterator[Update]:
    made = Update(bucket)
    with made.lease:
        yield made
        for _ in range(made.ups):
            made.lease.release()


ON_V1, ON_V2 = {"app1": "a", "app2": "a", "app3": "a"}, {"app1": "b", "app2": "b", "app3": "b"}


def test_hosts_change_one_after_the_other_and_each_is_confirmed_before_the_next(update: Update) -> None:
    update.up()
    assert update.touched() == [f"app{n} {act} b" for n in (1, 2, 3) for act in ("change", "confirm")]
    assert sorted(update.estate.done[:3]) == ["app1 check b", "app2 check b", "app3 check b"]
    assert update.runs() == ON_V2
    found = update.record()
    assert found is not None
    assert found.open  # until the pointer is written
    assert set(found.hosts.values()) == {HostProgress.CONFIRMED}


def test_the_record_is_open_before_the_first_host_is_touched(update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*_: Any) -> RollOutRecord:
        raise HaError("S3 failed")

    monkeypatch.setattr(record, "write", unwritable)
    update.fails()
    assert update.touched() == []


def test_finish_closes_the_record_and_tells_the_hosts(update: Update) -> None:
    update.up()
    estate: Any = update.estate
    finish(estate, update.bucket.s3, update.bucket.name, Tier.APP, update.said.append)
    assert not update.open
    assert update.touched()[-3:] == ["app1 close", "app2 close", "app3 close"]
    update.up()
    assert update.touched() == []  # every host runs it, and the record is closed


def test_the_record_stays_open_for_a_host_that_was_left_out(update: Update) -> None:
    update.estate["app2"].reachable = False
    update.up(without="app2")
    estate: Any = update.estate
    finish(estate, update.bucket.s3, update.bucket.name, Tier.APP, update.said.append)
    assert update.open
    assert "app2 was left out" in update.said[-1]


@pytest.mark.parametrize(
    ("tier", "sick", "order"),
    [
        (Tier.DB, "", "db2 db1"),
        (Tier.CACHE, "", "cache2 cache1"),
        (Tier.LB, "", "lb2 lb1"),
        (Tier.APP, "app3", "app3 app1 app2"),
        (Tier.DB, "db1", "db1 db2"),
    ],
)
def test_sick_hosts_come_first_and_the_leading_one_last(update: Update, tier: Tier, sick: str, order: str) -> None:
    if sick:
        update.estate[sick].healthy = False
    update.up(tier)
    assert [one.split()[0] for one in update.touched() if " change " in one] == order.split()


@pytest.mark.parametrize(
    ("takes", "why"),
    [
        ("refuses", "it refused the change: step 40-app.sh of the set-up failed: no such file"),
        ("sick", "not healthy within"),
        ("cut off", "no answer within 420 s"),
    ],
)
def test_when_a_host_does_not_take_it_those_before_go_back_and_those_after_are_not_touched(
    update: Update, takes: Takes, why: str
) -> None:
    update.estate["app3"].takes[V2.bundle] = takes
    message = update.fails()
    assert f"app3 does not take bundle bbbbbbbbbbbb: {why}" in message
    assert "every host runs bundle aaaaaaaaaaaa again" in message
    back = [one for one in update.touched() if one.endswith("change a")]
    assert back == ["app2 change a", "app1 change a"]
    assert update.runs() == ON_V1
    found = update.record()
    assert found is not None
    assert not found.open
    assert found.outcome.startswith("went back: app3:")
    update.estate["app3"].takes.clear()
    update.up()
    assert update.runs() == ON_V2


def test_the_first_host_that_refuses_leaves_the_others_untouched(update: Update) -> None:
    update.estate["app1"].takes[V2.bundle] = "refuses"
    update.fails()
    assert update.touched() == ["app1 change b"]
    assert not update.open


def test_a_host_that_is_lost_in_the_middle_is_said_and_settled_by_the_next_update(update: Update) -> None:
    update.estate["app3"].takes[V2.bundle] = "lost"
    message = update.fails()
    assert "app3 does not take bundle bbbbbbbbbbbb: no answer within 420 s" in message
    assert "app3 is lost (no answer within 30 s)" in message
    assert update.runs() == ON_V1
    assert update.open  # nobody has seen what runs there
    update.estate["app3"].reachable, update.estate["app3"].takes = True, {}
    update.up()
    assert update.runs() == ON_V2


def test_the_last_host_that_serves_does_not_go_back_while_its_neighbour_is_lost(update: Update) -> None:
    update.estate["db1"].takes[V2.bundle] = "lost"
    update.estate.leads = {"db2", "cache1", "lb1"}  # db1 is the standby, and changes first
    assert "db1 is lost" in update.fails(Tier.DB)
    assert update.touched() == ["db1 change b"]
    update.estate["db1"] = FakeHost("db1")
    update.estate["db2"].takes[V2.bundle] = "lost"
    message = update.fails(Tier.DB)
    assert "db1 stays on bundle bbbbbbbbbbbb: it cannot be spared" in message
    assert "db1 change a" not in update.touched()


def test_when_going_back_fails_too_the_error_says_what_stays_on_what(update: Update) -> None:
    update.estate["app3"].takes[V2.bundle] = "refuses"
    update.estate["app1"].takes[V1.bundle] = "refuses"
    message = update.fails()
    assert "app1 stays on bundle bbbbbbbbbbbb: it refused the change" in message
    assert "app2 stays" not in message
    assert "the next `pulumi up` settles every host" in message
    assert update.open
    update.estate["app1"].takes.clear()
    update.up(to=V1)
    assert update.runs() == ON_V1


def test_a_host_that_cannot_go_back_by_itself_is_not_called_back(update: Update) -> None:
    update.estate["app1"].takes[V2.bundle] = "stuck"
    message = update.fails()
    assert "it did not go back: the old one does not start either" in message
    assert update.open
    update.up(to=V1)
    assert update.touched() == ["app1 change a", "app1 confirm a"]


def test_a_confirmation_without_an_answer_is_not_taken_for_a_failure_without_traces(update: Update) -> None:
    update.estate["app1"].takes[V2.bundle] = "confirm unanswered"
    assert "app1 stays on bundle bbbbbbbbbbbb: no answer within 60 s" in update.fails()
    assert update.open


def test_an_abandoned_roll_out_is_settled_by_the_next_update_though_the_pointer_is_the_same(update: Update) -> None:
    abandoned = record.opened(None, tier=Tier.APP, before=V1, to=V2, began=datetime.now(UTC), settles=0)
    record.write(update.bucket.s3, update.bucket.name, abandoned)
    update.estate["app1"].abandon(V2, "confirmed")
    update.estate["app2"].abandon(V2, "applied")
    update.up(to=V1)
    assert update.touched() == ["app2 back", "app1 change a", "app1 confirm a"]
    assert update.runs() == ON_V1
    assert "app: a roll-out of bundle bbbbbbbbbbbb did not end: every host gets bundle aaaaaaaaaaaa" in update.said
    assert update.said[-1] == "app: every host runs bundle aaaaaaaaaaaa"


def test_settling_that_fails_does_not_close_the_record(update: Update) -> None:
    abandoned = record.opened(None, tier=Tier.APP, before=V1, to=V2, began=datetime.now(UTC), settles=0)
    record.write(update.bucket.s3, update.bucket.name, abandoned)
    update.estate["app1"].abandon(V2, "confirmed")
    update.estate["app2"].takes[V3.bundle] = "refuses"
    assert "app1 stays on bundle bbbbbbbbbbbb" in update.fails(to=V3)
    assert update.open


def test_a_host_that_is_down_is_refused_unless_it_may_be_left_out(update: Update) -> None:
    update.estate["app2"].reachable = False
    message = update.fails()
    assert "nothing was changed: app2 is down (no answer within 30 s)" in message
    assert "HA_WITHOUT=app2" in message
    assert update.estate.done == []
    update.up(without="app2")
    assert update.touched() == ["app1 change b", "app1 confirm b", "app3 change b", "app3 confirm b"]
    assert any("app2 is down and left out" in line for line in update.said)


def test_a_host_of_another_tier_that_is_down_may_be_left_out_too(update: Update) -> None:
    update.estate["db2"].reachable = False
    assert "not healthy" in update.fails()
    update.up(without="db2")
    assert update.runs() == ON_V2


def test_a_host_of_another_tier_that_was_terminated_may_be_left_out_by_its_name(update: Update) -> None:
    """The `up` makes it again, but only after this tier's roll-out."""
    update.estate.gone.add("db2")
    update.estate["db1"].says = {"facts": {"role": "primary", "replication": "none"}}
    assert "not healthy" in update.fails()
    assert "not healthy" in update.fails(without="db3")
    update.up(without="db2")
    assert update.runs() == ON_V2


def test_a_record_that_was_left_open_closes_though_the_estate_is_not_healthy(update: Update) -> None:
    update.up()
    update.estate.gone.add("db2")
    update.estate["db1"].says = {"facts": {"role": "primary", "replication": "none"}}
    update.up()
    assert update.touched() == []
    estate: Any = update.estate
    finish(estate, update.bucket.s3, update.bucket.name, Tier.APP, update.said.append)
    assert not update.open


def test_an_estate_that_never_was_ready_takes_another_version(update: Update) -> None:
    """As after a first `up` that failed: application hosts wait for a database that the next `up` makes."""
    for host in update.estate.hosts.values():
        host.confirmed, host.healthy = NOTHING, False
    update.up()
    assert update.touched() == []
    assert "app1 never was ready: it boots with bundle bbbbbbbbbbbb when the pointer is written" in update.said
    estate: Any = update.estate
    finish(estate, update.bucket.s3, update.bucket.name, Tier.APP, update.said.append)
    assert update.touched() == ["app1 again", "app2 again", "app3 again"]
    assert not update.open


def test_a_new_host_that_never_was_ready_does_not_hold_up_the_others(update: Update) -> None:
    update.estate["app3"].confirmed, update.estate["app3"].healthy = NOTHING, False
    update.up()
    assert update.touched() == ["app1 change b", "app1 confirm b", "app2 change b", "app2 confirm b"]


def test_a_host_that_serves_is_no_new_one_whatever_it_says(update: Update) -> None:
    update.estate["app3"].confirmed = NOTHING
    update.up()
    assert update.runs() == ON_V2


def test_a_host_on_its_way_out_is_not_touched(update: Update) -> None:
    update.planned.remove("app3")
    update.up()
    assert update.runs() == ON_V2 | {"app3": "a"}


def test_packages_that_a_golden_image_lacks_are_refused_before_any_host_is_touched(update: Update) -> None:
    update.estate["app3"].lacks, update.estate["app3"].image = ["jq", "no\x1b[31mde"], "ha-2026-11"
    assert "nothing was changed: app3: its image ha-2026-11 lacks jq, node" in update.fails()
    assert update.touched() == []
    update.estate["app3"].image = ""
    update.up()
    assert "app3: installs jq, node" in update.said


def test_a_bundle_that_is_not_available_is_refused_before_any_host_is_touched(update: Update) -> None:
    update.estate["app2"].takes[V2.bundle] = "missing"
    message = update.fails()
    assert "nothing was changed: app2: bundle bbbbbbbbbbbb is not available: 403" in message
    assert "\x1b" not in message
    assert update.touched() == []
    assert update.record() is None


def test_an_answer_of_no_known_form_is_refused_before_any_host_is_touched(update: Update) -> None:
    update.estate["app2"].lacks = "everything"
    assert "app2: ha-bundle check does not say which packages it lacks" in update.fails()
    assert update.touched() == []


@pytest.mark.parametrize("sick", ["cache1", "monitor1", "db2"])
def test_an_estate_that_is_not_healthy_is_refused(update: Update, sick: str) -> None:
    update.estate[sick].healthy = False
    assert f"nothing was changed, because the estate is not healthy: {sick}" in update.fails()
    assert update.touched() == []


def test_a_sick_host_that_has_the_version_already_does_not_leave_the_others_alone(update: Update) -> None:
    update.estate["app1"].abandon(V2, "confirmed")
    update.estate["app1"].healthy = update.estate["db2"].reachable = False
    assert "the estate is not healthy: app1" in update.fails(without="db2")
    assert update.touched() == []


def test_a_change_that_breaks_a_neighbour_does_not_pass(update: Update, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = update.estate._change

    def and_breaks(host: FakeHost, wanted: Pointer) -> dict[str, Any]:
        update.estate["lb1"].healthy = wanted != V2
        return applied(host, wanted)

    monkeypatch.setattr(update.estate, "_change", and_breaks)
    assert "app1 does not take bundle bbbbbbbbbbbb: not healthy within 0.05 s: lb1" in update.fails()
    assert update.runs() == ON_V1


@pytest.mark.parametrize(
    ("during", "touched"),
    [
        ("_check", []),
        ("_change", ["app1 change b"]),  # not confirmed: it goes back by itself
        ("_confirm", ["app1 change b", "app1 confirm b"]),
    ],
)
def test_a_lost_lease_stops_the_roll_out_where_it_is(
    update: Update, monkeypatch: pytest.MonkeyPatch, during: str, touched: list[str]
) -> None:
    act = getattr(update.estate, during)

    def and_lose_the_lease(host: FakeHost, wanted: Pointer) -> dict[str, Any]:
        update.bucket.s3.delete_object(Bucket=update.bucket.name, Key=KEY)
        return dict(act(host, wanted))

    monkeypatch.setattr(update.estate, during, and_lose_the_lease)
    assert "no longer holds the lease" in update.fails()
    assert update.touched() == touched
    assert update.open


@pytest.mark.parametrize(
    "hostile",
    [
        {"prints": "[" * 20_000},
        {"prints": "1" * 20_000},
        {"prints": "\x1b]0;owned\x07 no report"},
        {"prints": "[]"},
        {"says": {"runs": [], "setup": "ready", "checks": 3, "facts": None}},
        {"says": {"runs": {"bundle": {}, "confirmed": 1, "change": "applied"}}},
        {"says": {"checks": [1, {"name": "\x1b[2J", "ok": []}], "healthy": "yes"}},
    ],
)
def test_whatever_a_host_says_nothing_breaks_and_nothing_reaches_the_terminal(
    update: Update, hostile: dict[str, Any]
) -> None:
    for name, value in hostile.items():
        setattr(update.estate["app2"], name, value)
    message = update.fails()
    assert "app2" in message
    assert not any(ord(one) < 32 for one in (message + "".join(update.said)).replace("\n", ""))
    assert len(message) < 4000


@pytest.mark.parametrize("name", ["db1", "lb1", "cache1"])
def test_facts_of_no_known_form_count_as_not_said(update: Update, name: str) -> None:
    update.estate[name].says = {"facts": {"role": ["primary"], "servers": 3, "lag_bytes": {}, "replication": {}}}
    assert "the estate is not healthy" in update.fails()

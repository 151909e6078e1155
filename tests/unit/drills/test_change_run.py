"""A change is applied, judged by what the hosts did, and undone whatever ends it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from drills import change_run
from drills.catalogue import CATALOGUE
from drills.change_run import ChangeDrill, HostState, Snapshot, unmet
from drills.changes import CHANGES, Change
from drills.faults import Fault, Targets
from drills.results import ChangeRun, Update
from lab.engine import Event, Message
from ops import record
from ops.record import HostProgress
from ops.runs import Runs
from ops.status import Observation
from spec.errors import HaError
from spec.pointer import Pointer
from spec.project import REPOSITORY
from spec.tiers import Tier
from tests.unit.drills.test_faults import FakeInjector

OLD, NEW = "a" * 64, "b" * 64
HOSTS = {"app1": Tier.APP, "app2": Tier.APP, "db1": Tier.DB, "db2": Tier.DB, "lb1": Tier.LB, "lb2": Tier.LB}
PROGRAM = Path("/changed")


def pointer(digest: str) -> Pointer:
    return Pointer(bundle=digest)


def host(name: str, placed: str = OLD, confirmed: str = "", mark: str = "1") -> HostState:
    return HostState(HOSTS[name], Runs(bundle=placed, confirmed_bundle=confirmed or placed), mark)


def snapshot(moved: tuple[Tier, ...] = (), **hosts: HostState) -> Snapshot:
    """An estate on the old version, but for the tiers whose pointer has moved, and for these hosts."""
    pointers = {tier: pointer(NEW if tier in moved else OLD) for tier in Tier}
    return Snapshot(pointers, {name: hosts.get(name) or host(name) for name in HOSTS})


def changed(*names: str, moved: tuple[Tier, ...] = (), digest: str = NEW, mark: str = "2") -> Snapshot:
    return snapshot(moved, **{name: host(name, digest, mark=mark) for name in names})


def verdict(
    change: str, after: Snapshot, *, error: str = "", at_end: Snapshot | None = None, next_error: str = ""
) -> list[str]:
    """What is found when the estate was as usual before, and at the end too unless said."""
    before = snapshot()
    # At the end each host has the mark that it got before.
    end = at_end or Snapshot(before.pointers, {n: replace(host(n), mark=one.mark) for n, one in after.hosts.items()})
    applied = Update(seconds=9, error=error, touched=after.touched_since(before), said=())
    returned = Update(seconds=8, error=next_error, touched=end.touched_since(after), said=())
    return unmet(CHANGES[change], before, after, end, ChangeRun(applied=applied, returned=returned))


REFUSAL = "app1: not healthy within 120 s: it does not report that it is healthy"


@pytest.mark.parametrize(
    ("change", "after", "error"),
    [
        ("change-config-lb", changed("lb1", "lb2", moved=(Tier.LB,)), ""),
        ("change-release-dies", changed("app1", digest=OLD), REFUSAL),
        ("change-interrupted", changed("app1"), "the engine's process ended"),
        ("change-during-failover", changed("db1", "db2", moved=(Tier.DB,)), ""),
        ("change-during-failover", changed("db1", "db2", digest=OLD), "db1: no answer"),
    ],
    ids=["applied", "refused", "interrupted", "through a failover", "undone by a failover"],
)
def test_what_is_expected_is_found(change: str, after: Snapshot, error: str) -> None:
    assert verdict(change, after, error=error) == []


@pytest.mark.parametrize(
    ("change", "after", "error", "found"),
    [
        ("change-config-lb", changed("lb1", "lb2", moved=(Tier.LB,)), "no answer", "`up` failed: no answer"),
        ("change-config-lb", snapshot(), "", "the pointers of no tier changed, not of lb"),
        ("change-config-lb", changed("lb1", moved=(Tier.LB,)), "", "something else runs on lb2"),
        (
            "change-config-lb",
            snapshot((Tier.LB,), lb1=host("lb1", NEW, mark="2"), lb2=host("lb2", NEW, OLD, mark="2")),
            "",
            "something else runs on lb2",
        ),
        ("change-config-lb", changed("lb1", "lb2", "db2", moved=(Tier.LB,)), "", "db2: not of a changed tier"),
        ("change-release-dies", changed("app1", "app2", moved=(Tier.APP,)), "", "`up` accepted the change"),
        ("change-release-dies", changed("app1", "app2", digest=OLD), REFUSAL, "touched were app1, app2"),
        ("change-release-dies", snapshot(), REFUSAL, "touched were no hosts"),
        ("change-release-dies", changed("app1"), REFUSAL, "something else runs on app1"),
        ("change-release-dies", changed("app1", digest=OLD), "it is not healthy", "does not name app1"),
        ("change-release-dies", changed("app1", digest=OLD), "app1: no", "`up` does not say why"),
        ("change-interrupted", changed("app1", "app2", moved=(Tier.APP,)), "", "was not killed"),
        ("change-during-failover", changed("db2"), "db1: no answer", "something else runs on db2"),
    ],
)
def test_what_is_not_expected_is_found(change: str, after: Snapshot, error: str, found: str) -> None:
    assert any(found in one for one in verdict(change, after, error=error)), verdict(change, after, error=error)


def test_the_next_up_has_to_succeed_and_to_settle_every_host() -> None:
    after = changed("app1")
    assert verdict("change-interrupted", after, error="killed", next_error="locked") == ["the next `up` failed: locked"]
    mixed = verdict("change-interrupted", after, error="killed", at_end=after)
    assert mixed == ["after the next `up` something else runs on app1 than should"]
    moved = verdict("change-interrupted", after, error="killed", at_end=snapshot((Tier.APP,)))
    assert "the pointers are not those of before the change" in moved


def test_after_a_refused_change_the_next_up_touches_nothing() -> None:
    after = changed("app1", digest=OLD)
    found = verdict("change-release-dies", after, error=REFUSAL, at_end=changed("app2", digest=OLD, mark="3"))
    assert any("touched by the next `up`" in one for one in found)


def test_a_host_that_is_off_or_new_counts_as_touched() -> None:
    off = snapshot(app2=host("app2", mark=""))
    assert off.touched_since(snapshot()) == ("app2",)
    assert snapshot().touched_since(snapshot()) == ()


# --- a run


class FakeS3:
    """Pointers and records, by key."""

    def __init__(self) -> None:
        self.objects = {Pointer.key(tier): pointer(OLD).to_json().encode() for tier in Tier}

    def get_object(self, Bucket: str, Key: str) -> Any:
        answer = {"ETag": "1", "ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 05 Jan 2026 00:00:00 GMT"}}}
        if Key not in self.objects:
            raise _missing()
        return {**answer, "Body": io.BytesIO(self.objects[Key])}


def _missing() -> Exception:
    date = {"HTTPHeaders": {"date": "Mon, 05 Jan 2026 00:00:00 GMT"}}
    return ClientError({"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": date}, "GetObject")  # type: ignore[typeddict-item]


@dataclass
class FakeEstate:
    """An estate whose engine does what a test says: `on_up` is called for the changed program."""

    on_up: Callable[[FakeEstate, Callable[[Event], None]], None]
    s3: FakeS3 = field(default_factory=FakeS3)
    runs: dict[str, str] = field(default_factory=lambda: dict.fromkeys(HOSTS, OLD))
    marks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOSTS, 1))
    ups: list[Path] = field(default_factory=list)
    freed: int = 0

    def change(self, name: str, digest: str) -> None:
        self.runs[name] = digest
        self.marks[name] += 1

    def confirm(self, tier: Tier, name: str, digest: str = NEW) -> None:
        """As a roll-out does: the host has the change, and the record says so."""
        self.change(name, digest)
        before = record.opened(
            None, tier=tier, before=pointer(OLD), to=pointer(NEW), began=datetime.now(UTC), settles=0
        )
        written = before.model_copy(update={"hosts": {name: HostProgress.CONFIRMED}})
        self.s3.objects[record.key(tier)] = written.model_dump_json(by_alias=True).encode()

    def point(self, tier: Tier, digest: str) -> None:
        self.s3.objects[Pointer.key(tier)] = pointer(digest).to_json().encode()

    def engine_of(self, _: object, program: Path) -> Any:
        def up(stack: str, on_event: Callable[[Event], None]) -> None:
            self.ups.append(program)
            if program == PROGRAM:
                self.on_up(self, on_event)
                return
            for name in [one for one, runs in self.runs.items() if runs != OLD]:
                self.change(name, OLD)
            for tier in Tier:
                self.point(tier, OLD)

        return MagicMock(up=up)

    def observe(self, _: object) -> list[Observation]:
        return [
            Observation(
                MagicMock(host=name, tier=HOSTS[name]), {"runs": {"bundle": digest, "confirmed": {"bundle": digest}}}
            )
            for name, digest in self.runs.items()
        ]


class Injector(FakeInjector):
    """Marks come from the estate's hosts."""

    def __init__(self, estate: FakeEstate) -> None:
        super().__init__()
        self.fake = estate
        self.events: list[str] = []

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        return str(self.fake.marks[host])


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeEstate, str, Fault | None], tuple[ChangeDrill, list[str]]]:
    """Makes a run of a drill in which the program is not copied, and the estate is the fake one."""

    @contextlib.contextmanager
    def program(_: Change) -> Iterator[Path]:
        yield PROGRAM

    def made(estate: FakeEstate, name: str, fault: Fault | None) -> tuple[ChangeDrill, list[str]]:
        injector = Injector(estate)
        injector.estate.client.side_effect = lambda service: estate.s3  # type: ignore[attr-defined]
        monkeypatch.setattr(change_run, "changed_program", program)
        monkeypatch.setattr(change_run, "engine_of", estate.engine_of)
        monkeypatch.setattr(change_run, "observe", estate.observe)
        monkeypatch.setattr(change_run, "scope_of", lambda *_: MagicMock(artifact_bucket="bucket"))
        held = MagicMock(held=True)
        monkeypatch.setattr("ops.lease.look", lambda *_: held)
        monkeypatch.setattr("ops.lease.free", lambda *_: setattr(estate, "freed", estate.freed + 1))
        drill = replace(CATALOGUE[name], hold_s=0.01)
        said: list[str] = []
        change = drill.change
        assert change is not None
        targets = Targets(drill.tier, ("db1",), "db1", "db2", "monitor1")
        return ChangeDrill(replace(drill, fault=fault or drill.fault), change, injector, targets, said.append), said

    return made


Start = Callable[[FakeEstate, str, Fault | None], tuple[ChangeDrill, list[str]]]


def roll_out(estate: FakeEstate, hear: Callable[[Event], None], tier: Tier) -> None:
    for name in [one for one, of in HOSTS.items() if of is tier]:
        estate.confirm(tier, name)
        hear(Message("info", f"{name}: serves, 3.0 s"))
    estate.point(tier, NEW)


def test_a_change_is_applied_and_the_checkout_comes_back(start: Start) -> None:
    estate = FakeEstate(lambda estate, hear: roll_out(estate, hear, Tier.LB))
    drill, said = start(estate, "change-config-lb", None)
    run, not_as_expected = drill.run()
    assert not_as_expected == []
    assert estate.ups == [PROGRAM, REPOSITORY]
    assert (run.applied.touched, run.returned.touched) == (("lb1", "lb2"), ("lb1", "lb2"))
    assert run.applied.said == ("lb1: serves, 3.0 s", "lb2: serves, 3.0 s")
    assert "lb1: serves, 3.0 s" in said
    assert set(estate.runs.values()) == {OLD}
    assert estate.freed == 0


def test_why_an_up_failed_is_kept(start: Start) -> None:
    def refuse(estate: FakeEstate, hear: Callable[[Event], None]) -> None:
        estate.change("app1", OLD)
        raise HaError(REFUSAL, where="app1")

    run, not_as_expected = start(FakeEstate(refuse), "change-release-hangs", None)[0].run()
    assert not_as_expected == []
    assert REFUSAL in run.applied.error
    assert (run.applied.touched, run.returned.touched) == (("app1",), ())


def test_the_engine_is_killed_when_the_first_host_has_the_change_and_its_lease_is_freed(start: Start) -> None:
    killed: list[str] = []

    def interrupted(estate: FakeEstate, hear: Callable[[Event], None]) -> None:
        hear(Message("info", "app1: applying"))
        assert killed == []
        estate.confirm(Tier.APP, "app1")
        hear(Message("info", "app1: serves"))
        assert killed == ["killed"]
        raise HaError("the engine's process ended with exit code -9 before it was done")

    kill = Fault("kill", lambda *_: killed.append("killed"), lambda *_: None, instantaneous=True)
    estate = FakeEstate(interrupted)
    run, not_as_expected = start(estate, "change-interrupted", kill)[0].run()
    assert not_as_expected == []
    assert estate.freed == 1
    assert (run.applied.touched, run.returned.touched) == (("app1",), ("app1",))


def test_a_fault_in_the_middle_is_healed_while_the_change_goes_on(start: Start) -> None:
    done: list[str] = []

    def slow(estate: FakeEstate, hear: Callable[[Event], None]) -> None:
        roll_out(estate, hear, Tier.DB)
        done.append("rolled out")

    fault = Fault("loss", lambda *_: done.append("lost"), lambda *_: done.append("healed"))
    _, not_as_expected = start(FakeEstate(slow), "change-during-failover", fault)[0].run()
    assert not_as_expected == []
    assert done[0] == "lost"
    assert sorted(done) == ["healed", "lost", "rolled out"]


def test_a_change_without_a_middle_is_no_outcome_and_the_checkout_comes_back(start: Start) -> None:
    estate = FakeEstate(lambda *_: None)
    with pytest.raises(HaError, match="power-loss was not injected, because the change ended before"):
        start(estate, "change-during-failover", None)[0].run()
    assert estate.ups == [PROGRAM, REPOSITORY]


def test_an_interrupt_ends_the_change_heals_the_fault_and_brings_the_checkout_back(start: Start) -> None:
    done: list[str] = []

    def interrupted(estate: FakeEstate, hear: Callable[[Event], None]) -> None:
        estate.confirm(Tier.DB, "db2")
        hear(Message("info", "db2: serves"))
        os.kill(os.getpid(), signal.SIGINT)

    fault = Fault("loss", lambda *_: done.append("lost"), lambda *_: done.append("healed"))
    estate = FakeEstate(interrupted)
    drill, said = start(estate, "change-during-failover", fault)
    with pytest.raises(KeyboardInterrupt):
        replace(drill, drill=replace(drill.drill, hold_s=600)).run()
    assert done == ["lost", "healed"]
    assert estate.ups == [PROGRAM, REPOSITORY]
    assert set(estate.runs.values()) == {OLD}
    assert estate.freed == 1
    assert "interrupted: applying this checkout again first" in said

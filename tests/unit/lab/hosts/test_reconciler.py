"""The reconciler tries again after a failure of the network, waits for the hosts that a call named, keeps snapshots."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from lab.aws.model import Attachment, AwsSnapshot, Volume, VolumeSnapshot, Vpc
from lab.hosts import copying
from lab.hosts.copying import Frozen, Progress
from lab.hosts.driver import Driver
from lab.hosts.reconciler import HostReconciler, HostSettings
from lab.network.fabric import Fabric
from lab.waiting import eventually
from spec.errors import HaError
from tests.unit.lab.network import snapshots

SNAPSHOT = AwsSnapshot(vpcs=(Vpc("vpc-1", snapshots.PUBLIC.cidr, False),))


class FailingFabric:
    """A network that fails a given number of times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.applied: list[AwsSnapshot] = []

    def apply(self, snapshot: AwsSnapshot, live: set[str]) -> None:
        if self.failures:
            self.failures -= 1
            raise HaError("nft failed")
        self.applied.append(snapshot)


def reconciler_of(
    fabric: FailingFabric,
    state: Path,
    read: Callable[[], AwsSnapshot] = lambda: SNAPSHOT,
    report: Callable[[str, str, int], None] = lambda *_: None,
) -> HostReconciler:
    settings = HostSettings(
        state=state, image=state, certificate_authority="", powered_off=lambda _: None, report_snapshot=report
    )
    return HostReconciler(settings, cast(Fabric, fabric), read)


def test_a_network_that_failed_is_tried_again_and_reported_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.hosts.reconciler.RETRY_S", 0.05)
    fabric = FailingFabric(failures=2)
    reconciler = reconciler_of(fabric, tmp_path)
    reconciler.on_change("ec2", "RunInstances")
    assert "nft failed" in reconciler.problem
    assert reconciler.snapshot == AwsSnapshot()
    reconciler.start()
    try:
        eventually("it is applied", lambda: fabric.applied == [SNAPSHOT], deadline_s=5, every_s=0.01)
        eventually("no problem is told", lambda: reconciler.problem == "", deadline_s=5, every_s=0.01)
        assert reconciler.snapshot == SNAPSHOT
    finally:
        reconciler.close()


class SlowHost:
    """A host that is never down."""

    def __init__(self, name: str) -> None:
        self.instance_id = name
        self.power = "stopping"
        self.waited = False
        self.set_desired: Callable[..., None] = lambda _: None

    def settled(self, deadline_s: float) -> bool:
        self.waited = True
        time.sleep(deadline_s)
        return False


def test_a_stop_waits_for_the_hosts_that_it_names_and_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lab.hosts.reconciler.SETTLE_S", 0.3)
    reconciler = reconciler_of(FailingFabric(0), tmp_path)
    hosts = {name: SlowHost(name) for name in ("i-1", "i-2", "i-3", "i-4")}
    monkeypatch.setattr(reconciler, "_drivers", cast(dict[str, Driver], hosts))
    began = time.monotonic()
    reconciler.on_change("ec2", "StopInstances", {"i-1", "i-2", "i-3"})
    assert time.monotonic() - began < 0.6
    assert [name for name, host in hosts.items() if host.waited] == ["i-1", "i-2", "i-3"]


class FrozenHost:
    """A host that remembers that it was stopped."""

    def __init__(self) -> None:
        self.stopped = 0
        self.set_desired: Callable[..., None] = lambda _: None
        self.machine = self

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.stopped += 1
        yield


def test_a_snapshot_is_kept_when_the_call_that_makes_it_returns_and_goes_when_it_is_deleted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api, reported = AwsSnapshot(), list[tuple[str, str, int]]()
    reconciler = reconciler_of(FailingFabric(0), tmp_path, lambda: api, lambda *what: reported.append(what))
    host = FrozenHost()
    monkeypatch.setattr(reconciler, "_drivers", {"i-1": host})
    volume = Volume(id="vol-1", size_gib=1, tags={}, attachment=Attachment("i-1", "/dev/sdf"))
    file = tmp_path / "volumes/snap-1"

    def copy(source: Path, target: Path, device: object, frozen: Frozen, progress: Progress) -> None:
        with frozen():
            progress(50)
            target.touch()

    monkeypatch.setattr(copying, "copy_of_one_moment", copy)
    api = AwsSnapshot(volumes=(volume,), volume_snapshots=(VolumeSnapshot("snap-1", "vol-1"),))
    reconciler.on_change("ec2", "CreateSnapshot")
    assert file.exists()
    assert reported == [("snap-1", "pending", 50), ("snap-1", "completed", 100)]
    assert host.stopped == 1
    reconciler.reconcile()
    assert len(reported) == 2
    api = AwsSnapshot(volumes=(volume,))
    reconciler.reconcile()
    assert not file.exists()


def test_a_snapshot_that_fails_is_reported_and_stops_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(copying, "copy_of_one_moment", full)
    volume = Volume(id="vol-1", size_gib=1, tags={}, attachment=None)
    api = AwsSnapshot(volumes=(volume,), volume_snapshots=(VolumeSnapshot("snap-1", "vol-1"),))
    reported: list[tuple[str, str, int]] = []
    fabric = FailingFabric(0)
    reconciler_of(fabric, tmp_path, lambda: api, lambda *what: reported.append(what)).on_change("ec2", "CreateSnapshot")
    assert reported == [("snap-1", "error", 0)]
    assert fabric.applied == [api]

"""Brings hosts and network to what the API says: one driver per instance, updated at each change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.aws.model import AwsSnapshot, Instance, InstanceState, Volume
from lab.hosts.cgroups import CgroupTree
from lab.hosts.driver import Claims, DesiredState, Driver, DriverContext, Power
from lab.hosts.machine import Blueprint, Machine
from lab.hosts.volumes import ROOT_DEVICES, VolumeStore
from lab.network import topology
from lab.network.fabric import Fabric
from spec.instance_types import catalogue

log = logging.getLogger(__name__)

_UP = (InstanceState.PENDING, InstanceState.RUNNING)
_LEAVING = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)
_AT_ONCE = (
    *("StopInstances", "TerminateInstances", "StartInstances", "RunInstances"),
    *("CreateSnapshot", "CreateSnapshots"),
)
RETRY_S = 2.0
"""The pause before the next attempt when hosts and network could not be brought to what the API says."""
SETTLE_S = 40.0
"""How long a stop or terminate call waits for its hosts to be down."""


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """What hosts are made with."""

    state: Path
    image: Path
    certificate_authority: str
    powered_off: Callable[[str], None]
    """Called with an instance id when the host has shut itself down."""
    report_snapshot: Callable[[str, str, int], None]
    """Called with a snapshot's id, its state as EC2 names it, and how many per cent of it are kept."""


class HostReconciler:
    """Keeps the network, and one driver for each host of the lab, as the API says."""

    def __init__(self, settings: HostSettings, fabric: Fabric, read_snapshot: Callable[[], AwsSnapshot]) -> None:
        self._settings = settings
        self._fabric = fabric
        self._read_snapshot = read_snapshot
        self._cgroups = CgroupTree(settings.state)
        self._store = VolumeStore(settings.state / "volumes", settings.state / "loop-devices")
        self._claims = Claims()
        self._drivers: dict[str, Driver] = {}
        self._live: set[str] = set()
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self.snapshot = AwsSnapshot()
        """What the API said last, and what the network is."""
        self.problem = ""
        """Why hosts or network are not what the API says; empty when they are."""
        self._context = DriverContext(
            claims=self._claims,
            store=self._store,
            link_is_up=self._link_is_up,
            link_is_gone=self._link_is_gone,
            powered_off=settings.powered_off,
            read_again=self._wake.set,
            changed=self._nudge,
        )
        self._thread = threading.Thread(target=self._follow, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begins to follow the API."""
        self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Ends every host at once and detaches the volumes."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        for driver in self.drivers():
            driver.machine.kill()
        self._store.close()

    def drivers(self) -> list[Driver]:
        """The drivers of all hosts that exist, in the order in which they were launched."""
        with self._lock:
            return [one for one in self._drivers.values() if one.power is not Power.GONE]

    def driver(self, instance_id: str) -> Driver | None:
        """The driver of an instance; None when there is no such host."""
        with self._lock:
            return self._drivers.get(instance_id)

    def on_change(self, service: str, operation: str, instance_ids: Collection[str] = ()) -> None:
        """Called by the API after each call that may have changed something, with the instances that the call named.

        For a call that stops hosts it returns when they are down, so that a client that waits for `stopped` or
        `terminated` waits for the host itself. For one that takes snapshots it returns when their bytes are kept: what
        the client writes next is not in them. All other changes are followed in the background.
        """
        if service not in ("ec2", "iam"):
            return
        if operation in _AT_ONCE:
            # A host that is stopped and started again a moment later must still stop.
            self._try()
            if operation in ("StopInstances", "TerminateInstances"):
                deadline = time.monotonic() + SETTLE_S
                for driver in self.drivers():
                    if driver.instance_id in instance_ids:
                        driver.settled(max(0.0, deadline - time.monotonic()))
        else:
            self._wake.set()

    def _follow(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(RETRY_S if self.problem else None)
            self._wake.clear()
            self._try()

    def _try(self) -> None:
        """Reconciles; a failure is kept as `problem` and tried again."""
        try:
            self.reconcile()
            self.problem = ""
        except Exception as error:
            log.exception("hosts and network could not follow the API")
            # Before the thread is woken, which waits without a limit while there is no problem.
            self.problem = f"hosts and network could not follow the API: {error}"
            if threading.current_thread() is not self._thread:
                self._wake.set()

    def reconcile(self) -> None:
        """Reads what the API says, applies it to the network, and updates the drivers."""
        with self._lock:
            if self._closing.is_set():
                return
            snapshot = self._read_snapshot()
            self._store.fill(snapshot.volumes)
            self._take_snapshots(snapshot)
            if snapshot != self.snapshot:
                self._fabric.apply(snapshot, self._live)
                self.snapshot = snapshot
            self._update_drivers(snapshot)
            self._store.keep_only({one.id for one in snapshot.volumes} | {one.id for one in snapshot.volume_snapshots})

    def _take_snapshots(self, snapshot: AwsSnapshot) -> None:
        """Keeps the bytes of new snapshots. One that fails is in state `error`, as in EC2, and is not tried again."""
        for one in snapshot.volume_snapshots:
            volume = snapshot.volume(one.volume_id)
            if volume is None or self._store.has(one.id):
                continue
            report = partial(self._settings.report_snapshot, one.id)
            try:
                self._store.take(one.id, volume, partial(self._frozen, volume), partial(report, "pending"))
            except OSError:
                log.exception("no snapshot %s of %s", one.id, volume.id)
                report("error", 0)
            else:
                report("completed", 100)

    def _frozen(self, volume: Volume) -> AbstractContextManager[None]:
        """Stops the host that a volume is attached to."""
        driver = self._drivers.get(volume.attachment.instance_id) if volume.attachment else None
        return driver.machine.frozen() if driver else nullcontext()

    def _update_drivers(self, snapshot: AwsSnapshot) -> None:
        listed = set()
        for instance in snapshot.instances:
            if instance.state in _LEAVING:
                continue
            listed.add(instance.id)
            desired = DesiredState(running=instance.state in _UP, volumes=data_volumes(snapshot, instance.id))
            if instance.id in self._drivers:
                self._drivers[instance.id].set_desired(desired)
            elif instance.private_ip is not None:
                self._drivers[instance.id] = driver = self._new_driver(snapshot, instance, desired)
                driver.start()
        for instance_id, driver in self._drivers.items():
            if instance_id not in listed:
                driver.set_desired(DesiredState(running=False, exists=False))

    def _new_driver(self, snapshot: AwsSnapshot, instance: Instance, desired: DesiredState) -> Driver:
        assert instance.private_ip is not None
        blueprint = Blueprint(
            instance_id=instance.id,
            name=instance.name,
            address=instance.private_ip,
            subnet=snapshot.subnet(instance.subnet_id).cidr,
            resolver=topology.vpc_resolver(snapshot.vpc(instance.vpc_id).cidr),
            mac=instance.mac,
            memory_mib=memory_mib(instance.instance_type),
            image=self._settings.image,
            certificate_authority=self._settings.certificate_authority,
        )
        machine = Machine(
            blueprint,
            directory=self._settings.state / "hosts" / instance.id,
            logs=self._settings.state / "logs" / instance.name,
            cgroups=self._cgroups,
            fabric=self._fabric.vpc,
        )
        return Driver(machine, desired, self._context)

    def _link_is_up(self, instance_id: str) -> None:
        with self._lock:
            self._live.add(instance_id)
            self._fabric.apply(self.snapshot, self._live)

    def _link_is_gone(self, instance_id: str) -> None:
        with self._lock:
            self._live.discard(instance_id)
            self._fabric.forget_link(instance_id)

    def _nudge(self) -> None:
        with self._lock:
            drivers = list(self._drivers.values())
        for driver in drivers:
            driver.nudge()


def memory_mib(instance_type: str) -> int:
    """The memory of an instance type; that of a t3.medium for a type that the estate's catalogue lacks."""
    known = catalogue()
    return known.get(instance_type, known["t3.medium"]).memory_mib


def data_volumes(snapshot: AwsSnapshot, instance_id: str) -> dict[str, Volume]:
    """The volumes that are attached to an instance, its root volume left out."""
    return {
        volume.id: volume
        for volume in snapshot.volumes
        if volume.attachment
        and volume.attachment.instance_id == instance_id
        and volume.attachment.device not in ROOT_DEVICES
    }

"""Brings one host to the state that the API asks for, in a thread of its own, and notices what the host does by itself.

Hosts that need the same address or volume take turns: `Claims` gives it to the next host when the last one is gone.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lab.aws.model import Volume
from lab.hosts import volumes
from lab.hosts.machine import REBOOT_EXIT_CODE, Machine
from lab.hosts.volumes import VolumeStore
from spec.errors import HaError

log = logging.getLogger(__name__)

POWER_OFF_DEADLINE_S = 25.0
"""How long a host may take to shut down. EC2 gives minutes; no host of the estate needs more than its units' limit."""


class Power(StrEnum):
    """The state of a host's container."""

    WAITING = "waiting"
    """Its address still belongs to a host that is going down."""
    OFF = "off"
    ON = "on"
    STOPPING = "stopping"
    CRASHED = "crashed"
    """It ended without a request and without shutting down. It stays so until the API stops and starts it."""
    BROKEN = "broken"
    """The lab could not start it."""
    GONE = "gone"


@dataclass(frozen=True)
class DesiredState:
    """What the API asks of a host."""

    running: bool
    exists: bool = True
    volumes: Mapping[str, Volume] = field(default_factory=dict)


class Claims:
    """Which host holds which address or volume: one holder each."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        self._changed = threading.Condition()

    def take(self, what: str, holder: str, give_up: Callable[[], bool]) -> bool:
        """Waits until no other host holds `what` and takes it; false when `give_up` says so first."""
        with self._changed:
            while self._holders.get(what, holder) != holder:
                if give_up():
                    return False
                self._changed.wait(0.5)
            self._holders[what] = holder
            return True

    def free(self, what: str, holder: str) -> bool:
        """Takes `what` if no other host holds it."""
        with self._changed:
            return self._holders.setdefault(what, holder) == holder

    def release(self, holder: str, what: str | None = None) -> None:
        """Releases one thing, or everything that the holder has."""
        with self._changed:
            for key in [key for key, value in self._holders.items() if value == holder and what in (None, key)]:
                del self._holders[key]
            self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class DriverContext:
    """What the drivers share, and the functions that they call."""

    claims: Claims
    store: VolumeStore
    link_is_up: Callable[[str], None]
    """Called with an instance id once its link exists, before the host needs it."""
    link_is_gone: Callable[[str], None]
    powered_off: Callable[[str], None]
    """Called with an instance id when the host has shut itself down: for EC2 it is stopped then."""
    read_again: Callable[[], None]
    """Called when the API has to be read again."""
    changed: Callable[[], None]
    """Called when a host's power has changed or a claim was released."""


class Driver:
    """The thread that works on one host."""

    def __init__(self, machine: Machine, desired: DesiredState, context: DriverContext) -> None:
        self.machine = machine
        self.power = Power.OFF
        self.problem = ""
        self.booted_at = 0.0
        """Unix time of the last boot."""
        self._context = context
        self._desired = desired
        self._boot_due = desired.running
        self._shown: dict[str, int] = {}
        self._changed = threading.Condition()
        self._exit_codes: list[int] = []
        self._exit: threading.Thread | None = None
        """Waits for the end of the machine that was booted last."""
        self._thread = threading.Thread(target=self._drive, name=f"host-{machine.blueprint.name}", daemon=True)

    @property
    def instance_id(self) -> str:
        return self.machine.blueprint.instance_id

    def start(self) -> None:
        self._thread.start()

    def set_desired(self, desired: DesiredState) -> None:
        """Updates what the API asks of the host."""
        with self._changed:
            if desired.running and not self._desired.running:
                self._boot_due = True
            self._desired = desired
            self._changed.notify_all()

    def nudge(self) -> None:
        """Wakes the thread: something that it may wait for was released."""
        with self._changed:
            self._changed.notify_all()

    def settled(self, deadline_s: float) -> bool:
        """If the API asks for it, waits until the host is off or gone; false when it is not in time."""
        with self._changed:
            return self._changed.wait_for(self._is_settled, deadline_s)

    def _is_settled(self) -> bool:
        if not self._desired.exists:
            return self.power is Power.GONE
        return self._desired.running or self.power in (Power.OFF, Power.BROKEN)

    def _drive(self) -> None:
        created = False
        while True:
            try:
                if not created:
                    created = True
                    self.machine.create()
                elif not self._step():
                    return
            except Exception as error:  # it is reported as broken; the other hosts go on
                log.exception("host %s cannot be driven", self.machine.blueprint.name)
                self._broken(error)
                if not self._desired.exists:
                    self._set(Power.GONE)
                    return

    def _step(self) -> bool:
        """Does the next thing that is due, or waits for one; false when the host is gone."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            desired, exits = self._desired, self._exit_codes
            self._exit_codes = []
            boot_due = self._boot_due
        if exits:
            self._note_exit(exits[-1])
        elif not desired.exists:
            self._shut_down()
            self.machine.remove()
            self._context.claims.release(self.instance_id)
            self._set(Power.GONE)
            return False
        elif not desired.running:
            self._shut_down()
            with self._changed:
                self._boot_due = self._desired.running
            self._set(Power.OFF)
        elif boot_due:
            self._boot()
        else:
            self._sync_volumes(desired)
        return True

    def _has_work(self) -> bool:
        desired = self._desired
        if self._exit_codes or not desired.exists:
            return True
        if not desired.running:
            return self.power in (Power.ON, Power.CRASHED, Power.BROKEN, Power.WAITING)
        if self._boot_due:
            return True
        return self.power is Power.ON and self._volumes_differ(desired)

    def _volumes_differ(self, desired: DesiredState) -> bool:
        gone = any(one not in desired.volumes for one in self._shown)
        return gone or any(
            one not in self._shown and self._context.claims.free(one, self.instance_id) for one in desired.volumes
        )

    def _boot(self) -> None:
        machine = self.machine
        with self._changed:
            self._boot_due = False
        self.problem = ""
        self._set(Power.WAITING)
        address = str(machine.blueprint.address)
        if not self._context.claims.take(address, self.instance_id, lambda: not self._desired.running):
            return
        try:
            self.booted_at = time.time()
            machine.boot()
            self._exit = threading.Thread(target=self._await_exit, name=f"wait-{machine.blueprint.name}", daemon=True)
            self._exit.start()
            self._context.link_is_up(self.instance_id)
        except HaError as error:
            self._broken(error)
            return
        self._set(Power.ON)

    def _await_exit(self) -> None:
        code = self.machine.wait()
        with self._changed:
            self._exit_codes.append(code)
            self._changed.notify_all()

    def _has_ended(self) -> None:
        """Notes the end of a machine that the driver itself ended."""
        if self._exit is not None:
            self._exit.join()
            self._exit = None
        with self._changed:
            self._exit_codes = []
        self._shown.clear()
        self._context.link_is_gone(self.instance_id)

    def _note_exit(self, code: int) -> None:
        self._shown.clear()
        self._context.link_is_gone(self.instance_id)
        stopping = self.power is Power.STOPPING
        self._set(Power.OFF if stopping or code in (0, REBOOT_EXIT_CODE) else Power.CRASHED)
        if stopping:
            return
        if code == REBOOT_EXIT_CODE:
            with self._changed:
                self._boot_due = self._desired.running
        elif code == 0 and self._desired.running:
            self._context.powered_off(self.instance_id)
            # The API may say `running` again already, if it was started before the stop was seen here.
            with self._changed:
                self._desired = replace(self._desired, running=False)
            self._context.read_again()
        elif code != 0:
            log.warning("host %s ended by itself (exit code %d)", self.machine.blueprint.name, code)

    def _shut_down(self) -> None:
        if self.machine.running:
            self._set(Power.STOPPING)
            self.machine.power_off(POWER_OFF_DEADLINE_S)
        self._has_ended()
        self._context.claims.release(self.instance_id)
        self._context.changed()

    def _sync_volumes(self, desired: DesiredState) -> None:
        for volume_id in [one for one in self._shown if one not in desired.volumes]:
            with contextlib.suppress(OSError):  # the host may be shutting down
                volumes.hide(self.machine.dev, self._shown[volume_id], volume_id)
            del self._shown[volume_id]
            self._context.claims.release(self.instance_id, volume_id)
            self._context.changed()
        for volume_id, volume in desired.volumes.items():
            if volume_id in self._shown or not self._context.claims.free(volume_id, self.instance_id):
                continue
            index = next(number for number in self._indices() if number not in self._shown.values())
            device = self._context.store.device(volume)
            with contextlib.suppress(FileNotFoundError):  # the host has just ended: its exit is noted next
                volumes.show(self.machine.dev, index, volume_id, device)
                log.info("%s sees %s as nvme%dn1", self.machine.blueprint.name, volume_id, index)
            self._shown[volume_id] = index

    @staticmethod
    def _indices() -> Iterator[int]:
        return iter(range(1, 27))  # nvme0n1 is the root disk

    def _broken(self, error: Exception) -> None:
        """Ends what runs of the host, before others get its address and its volumes."""
        self.problem = str(error)
        with self._changed:
            self._boot_due = False
        self.machine.kill()
        self._has_ended()
        self._context.claims.release(self.instance_id)
        self._set(Power.BROKEN)

    def _set(self, power: Power) -> None:
        with self._changed:
            if power is self.power:
                return
            self.power = power
            self._changed.notify_all()
        log.info("host %s is %s", self.machine.blueprint.name, power)
        self._context.changed()

"""The operations that the supervisor offers on its control channel."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.aws.replication import Replication
from lab.hosts.driver import Driver
from lab.hosts.phase import Phase, phase_of
from lab.hosts.reconciler import HostReconciler
from lab.network.fabric import Fabric
from lab.supervisor.config import SupervisorConfig
from lab.supervisor.control import Handler
from spec.errors import HaError

POLL_S = 0.25
"""How often the hosts' stages are read, to note when each was reached. They are files: reading them is cheap."""


@dataclass
class _History:
    """The stages of one host's current boot, with the seconds from its start to each."""

    booted_at: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


class Operations:
    """The handlers, and the thread that notes when hosts reach a stage."""

    def __init__(
        self,
        config: SupervisorConfig,
        reconciler: HostReconciler,
        fabric: Fabric,
        copies: Replication,
        ending: threading.Event,
    ) -> None:
        self._config = config
        self._reconciler = reconciler
        self._fabric = fabric
        self._copies = copies
        self._ending = ending
        self._started_at = time.time()
        self._histories: dict[str, _History] = {}
        self._closed = threading.Event()

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "status": self._status,
            "host": self._host,
            "cut": lambda request: self._set_link(request, up=False),
            "heal": lambda request: self._set_link(request, up=True),
            "kill": self._kill,
            "delay-copies": self._delay_copies,
            "shutdown": self._shutdown,
        }

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Notes the hosts' stages for as long as the block."""
        thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        thread.start()
        yield
        self._closed.set()
        thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(POLL_S):
            for driver in self._reconciler.drivers():
                self._note(driver, phase_of(driver))

    def _note(self, driver: Driver, phase: Phase) -> _History:
        history = self._histories.setdefault(driver.instance_id, _History())
        if history.booted_at != driver.booted_at:
            history.booted_at, history.seconds = driver.booted_at, {}
        label = f"{phase.stage}:{phase.step}" if phase.step else str(phase.stage)
        if driver.booted_at:
            history.seconds.setdefault(label, round(time.time() - driver.booted_at, 2))
        return history

    def _status(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "stack": self._config.stack,
            "region": self._config.region,
            "image": self._config.image_kind,
            "ports": self._config.ports,
            "started_at": self._started_at,
            "problem": self._reconciler.problem,
            "hosts": [self._describe(driver) for driver in self._reconciler.drivers()],
        }

    def _describe(self, driver: Driver) -> Mapping[str, Any]:
        phase = phase_of(driver)
        history = self._note(driver, phase)
        blueprint = driver.machine.blueprint
        return {
            "name": blueprint.name,
            "instance_id": blueprint.instance_id,
            "address": str(blueprint.address),
            "power": driver.power,
            **asdict(phase),
            "booted_at": driver.booted_at,
            "stages_s": history.seconds,
            "logs": str(driver.machine.logs),
        }

    def _host(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What it takes to run a command on a host: its init's process id as the supervisor sees it; and its logs."""
        driver = self._find(str(request.get("name")))
        return {
            "leader": driver.machine.leader,
            "logs": str(driver.machine.logs),
            "instance_id": driver.instance_id,
        }

    def _set_link(self, request: Mapping[str, Any], *, up: bool) -> Mapping[str, Any]:
        driver = self._find(str(request.get("name")))
        self._fabric.set_host_link(driver.instance_id, up=up)
        return {}

    def _kill(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ends a host as a power failure does. Its link goes down first, so that its peers get no last packets."""
        driver = self._find(str(request.get("name")))
        self._fabric.set_host_link(driver.instance_id, up=False)
        driver.machine.kill()
        return {}

    def _delay_copies(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """S3 copies to the other region after `seconds`; without any, not until it is asked again."""
        self._copies.delay(float(request.get("seconds", math.inf)))
        return {}

    def _shutdown(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        self._ending.set()
        return {}

    def _find(self, name: str) -> Driver:
        drivers = self._reconciler.drivers()
        for driver in drivers:
            if name in (driver.machine.blueprint.name, driver.instance_id):
                return driver
        known = ", ".join(one.machine.blueprint.name for one in drivers) or "none"
        raise HaError(f"there is no host {name}", where="the lab", fix=f"name one of: {known}")

"""The phase of a host on its way to ready: from its power, cloud-init's result and its set-up's own report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lab.hosts.driver import Driver, Power

_SETUP = "run/ha/setup.json"
_CLOUD_INIT = "run/cloud-init/result.json"
_BOOTSTRAP = "usr/local/sbin/ha-bootstrap"


class Stage(StrEnum):
    """The stages of a host until it is ready, and those that it can end in."""

    WAITING = "waiting"
    BOOTING = "booting"
    SETUP = "setup"
    READY = "ready"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"
    CRASHED = "crashed"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A host's stage, the step of its set-up, and what failed."""

    stage: Stage
    step: str = ""
    error: str = ""


_BY_POWER = {
    Power.WAITING: Stage.WAITING,
    Power.OFF: Stage.STOPPED,
    Power.GONE: Stage.STOPPED,
    Power.STOPPING: Stage.STOPPING,
    Power.CRASHED: Stage.CRASHED,
    Power.BROKEN: Stage.FAILED,
}


def phase_of(driver: Driver) -> Phase:
    """The current phase of a host."""
    if driver.power is not Power.ON:
        return Phase(stage=_BY_POWER[driver.power], error=driver.problem)
    return phase_from_reports(Path(f"/proc/{driver.machine.leader}/root"))


def phase_from_reports(root: Path) -> Phase:
    """The phase of a running host by its own reports; `root` is its root file system with its /run."""
    setup = _read(root / _SETUP)
    if setup:
        match setup.get("state"):
            case "ready":
                return Phase(stage=Stage.READY)
            case "failed":
                return Phase(stage=Stage.FAILED, step=str(setup.get("step", "")), error=str(setup.get("error", "")))
            case _:
                return Phase(stage=Stage.SETUP, step=str(setup.get("step", "")))
    result = _read(root / _CLOUD_INIT).get("v1")
    if not isinstance(result, Mapping):
        return Phase(stage=Stage.BOOTING)
    errors = [str(error) for error in result.get("errors", ())]
    if errors:
        return Phase(stage=Stage.FAILED, step="cloud-init", error="\n".join(errors))
    # cloud-init has started the bootstrap without waiting for it; a host without one is ready now.
    return Phase(stage=Stage.BOOTING if (root / _BOOTSTRAP).exists() else Stage.READY)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, Mapping) else {}

"""The supervisor's configuration, and where the files of a lab are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.image.contents import ImageKind


@dataclass(frozen=True, kw_only=True)
class MachineImage:
    """A machine image of the lab's API, with the exact name and owner by which a stack names it."""

    name: str
    owner: str
    architecture: str


@dataclass(frozen=True, kw_only=True)
class SupervisorConfig:
    """What a lab is started with: a file in its state."""

    stack: str
    region: str
    image_kind: ImageKind
    image: Path
    """The root file system that hosts start from."""
    machine_images: tuple[MachineImage, ...]
    ports: dict[int, int]
    """Port of the machine's loopback by the port of the estate that it leads to."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str, indent=1)

    @classmethod
    def from_json(cls, text: str) -> SupervisorConfig:
        """Reads what `to_json` wrote."""
        raw = json.loads(text)
        raw["image_kind"] = ImageKind(raw["image_kind"])
        raw["image"] = Path(raw["image"])
        raw["machine_images"] = tuple(MachineImage(**one) for one in raw["machine_images"])
        raw["ports"] = {int(key): value for key, value in raw["ports"].items()}
        return cls(**raw)


@dataclass(frozen=True)
class StatePaths:
    """Where things are in the lab's state directory."""

    state: Path

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it runs. Beside the state, which a new lab replaces."""
        return self.state.with_name(f"{self.state.name}.lock")

    @property
    def marker(self) -> Path:
        """Says that a lab made the folder: no other folder is ever deleted."""
        return self.state / "event-manager-ha-lab"

    @property
    def config(self) -> Path:
        return self.state / "config.json"

    @property
    def control(self) -> Path:
        """The socket of the supervisor's control channel."""
        return self.state / "control.sock"

    @property
    def ending(self) -> Path:
        """Exists once the lab is told to end."""
        return self.state / "ending"

    @property
    def engine(self) -> Path:
        """The engine's folder. It is made with the state and not later: an engine that outlives its lab would make it
        again."""
        return self.state / "engine"

    @property
    def engine_lock(self) -> Path:
        """Held for one operation of the engine, and while the state is removed."""
        return self.engine / "lock"

    @property
    def supervisor_log(self) -> Path:
        return self.state / "logs" / "supervisor.log"

    @property
    def failed_log(self) -> Path:
        """Where the supervisor's log is kept when the lab could not be started."""
        return self.state.with_name(f"{self.state.name}-failed.log")

    @property
    def hosts_logs(self) -> Path:
        return self.state / "logs"

    @property
    def loop_devices(self) -> Path:
        """The numbers of the loop devices that the lab added to the machine."""
        return self.state / "loop-devices"

    @property
    def private(self) -> Path:
        """A mount that only the supervisor sees: its namespaces, and what programs write to /run."""
        return self.state / "private"

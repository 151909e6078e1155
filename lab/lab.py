"""The lab as the CLI and the tests use it: start it, ask it, run commands in it, end it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from lab import leftovers, lock, preflight, process
from lab.hosts.cgroups import ENGINE_CPU_WEIGHT, SUPERVISOR_CPU_WEIGHT, CgroupTree
from lab.image.build import ensure_image
from lab.image.contents import ImageKind
from lab.network import topology
from lab.network.namespace import enter
from lab.paths import state_directory
from lab.process import Argument
from lab.supervisor import control
from lab.supervisor.config import MachineImage, StatePaths, SupervisorConfig
from lab.waiting import eventually
from spec.errors import HaError
from spec.project import REPOSITORY

Progress = Callable[[str], None]
_ENGINE_GROUP = "engine"
START_S = 60.0
END_S = 20.0


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """What a lab is started with."""

    stack: str
    region: str
    image_kind: ImageKind = ImageKind.FULL
    machine_images: tuple[MachineImage, ...] = ()
    """The machine images that the stack names; the API has no others."""
    ports: Mapping[int, int] = field(default_factory=lambda: {80: 8080, 443: 8443})
    """Port of the machine's loopback by port of the estate."""
    vpc_ranges: tuple[IPv4Network, ...] = ()
    """The stack's own ranges, which must not be in use on the machine."""
    hosts: int = 1
    """How many hosts the stack has."""


@dataclass(frozen=True, kw_only=True)
class HostPhase:
    """The phase of a host, from launch to ready."""

    name: str
    instance_id: str
    address: str
    stage: str
    """`waiting`, `booting`, `setup`, `ready`, `failed`, `stopping`, `stopped` or `crashed`."""
    step: str
    """The step of its set-up that runs or failed."""
    error: str
    booted_at: float
    """Unix time at which its present boot began."""
    stages_s: Mapping[str, float]
    """Seconds from that boot to each stage (`setup:40-postgres` for a step)."""
    logs: Path


class Presence(StrEnum):
    """Whether there is a lab."""

    ABSENT = "absent"
    BUSY = "busy"
    """Being started or removed: its lock is held, and no supervisor runs yet, or no longer."""
    RUNNING = "running"


class Lab:
    """The lab of one state directory, running or not."""

    def __init__(self, state: Path | None = None) -> None:
        self.paths = StatePaths(state or state_directory())

    @property
    def endpoint_url(self) -> str:
        """The API, for programs inside the lab's network (`enter_network`, `in_network`)."""
        return f"http://127.0.0.1:{topology.API_PORT}"

    def presence(self) -> Presence:
        """Whether there is a lab. :raises HaError: (exit 2) without root, when there may be one."""
        try:
            if not lock.is_held(self.paths.lock):
                return Presence.ABSENT
            preflight.check_root()
            return Presence.RUNNING if self.paths.control.exists() else Presence.BUSY
        except PermissionError:
            preflight.check_root()
            raise
        except NotADirectoryError:
            return Presence.ABSENT

    def running(self) -> bool:
        """Whether there is a lab, a starting one included. :raises HaError: as `presence` does."""
        return self.presence() is not Presence.ABSENT

    def _ask(self, operation: str, **arguments: Any) -> Any:
        """The supervisor's answer. :raises HaError: when no lab runs, it is starting, or it does not answer."""
        self._require_running()
        return control.ask(self.paths.control, operation, **arguments)

    def _require_running(self) -> None:
        where = str(self.paths.state)
        match self.presence():
            case Presence.ABSENT:
                raise HaError("no lab is running", where=where, fix="`ha lab up` starts one")
            case Presence.BUSY:
                raise self._busy()

    def _busy(self) -> HaError:
        pid, doing = lock.holder(self.paths.lock)
        fix = f"wait for process {pid}, or end it" if pid else "`ha lab down` ends it"
        return HaError(f"a lab is {doing or 'starting'}", where=str(self.paths.state), fix=fix)

    def ended(self) -> bool:
        """Whether the lab that ran has ended or is being ended."""
        return self.presence() is not Presence.RUNNING or self.paths.ending.exists()

    def supervisor_pid(self) -> int:
        """The process id of the supervisor on this machine. :raises HaError: when no lab runs."""
        self._require_running()
        pid = control.peer_pid(self.paths.control)
        if not pid:
            raise control.no_answer(self.paths.control)
        return pid

    def start(self, options: LabOptions, progress: Progress = lambda _: None) -> None:
        """Removes what a crashed lab left, starts the supervisor, and returns when it answers.

        :raises HaError: with exit code 2, before anything is made, when the machine cannot run it or one runs already.
        """
        preflight.check_system()
        preflight.check_setup()
        leftovers.check_state(self.paths.state)
        self._require_absent()
        preflight.check_addresses(options.vpc_ranges)
        preflight.check_kernel()
        preflight.check_watches(options.hosts)
        preflight.check_disk(options.image_kind, self.paths.state)
        sockets = preflight.bind_ports(options.ports)
        try:
            self.paths.state.parent.mkdir(parents=True, exist_ok=True)
            with self._locked("starting") as held:
                try:
                    leftovers.clean(self.paths.state)
                    image = ensure_image(options.image_kind, progress)
                    progress("starting the lab's network and API")
                    self._launch(options, image, held, {port: one.fileno() for port, one in sockets.items()})
                except BaseException:
                    self._keep_log_and_clean()
                    raise
        finally:
            for one in sockets.values():
                one.close()

    def _require_absent(self) -> None:
        """:raises HaError: (exit 2) when a lab runs or starts."""
        match self.presence():
            case Presence.RUNNING:
                where = str(self.paths.state)
                raise preflight.refused("a lab is running already", where=where, fix="`ha lab down` ends it")
            case Presence.BUSY:
                busy = self._busy()
                raise preflight.refused(busy.what, where=busy.where, fix=busy.fix)

    @contextlib.contextmanager
    def _locked(self, doing: str, *, wait_s: float = lock.BRIEFLY_S) -> Iterator[int]:
        """Holds the lab's lock for the block. :raises HaError: when another does."""
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(lock.held(self.paths.lock, doing=doing, wait_s=wait_s))
            except BlockingIOError as error:
                raise self._busy() from error
            yield descriptor

    def _launch(self, options: LabOptions, image: Path, held: int, sockets: Mapping[int, int]) -> None:
        paths = self.paths
        leftovers.make_state(paths.state)
        paths.hosts_logs.mkdir()
        config = SupervisorConfig(
            stack=options.stack,
            region=options.region,
            image_kind=options.image_kind,
            image=image,
            machine_images=options.machine_images,
            ports=dict(options.ports),
        )
        paths.config.write_text(config.to_json(), encoding="utf-8")
        cgroups = CgroupTree(paths.state)
        cgroups.create(_ENGINE_GROUP, cpu_weight=ENGINE_CPU_WEIGHT)
        network = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            supervisor: list[Argument] = [
                *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc"),
                *("--fork", "--kill-child", "--mount-proc", "--"),
                *(sys.executable, "-m", "lab.supervisor", paths.state, str(network)),
                *(f"{port}={descriptor}" for port, descriptor in sockets.items()),
            ]
            child = process.start(
                cgroups.argv(cgroups.create("supervisor", cpu_weight=SUPERVISOR_CPU_WEIGHT), supervisor),
                log=paths.supervisor_log,
                environment={"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
                pass_fds=(held, network, *sockets.values()),
            )
        finally:
            os.close(network)

        def answers() -> bool:
            if child.poll() is not None:
                tail = paths.supervisor_log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
                raise HaError("the lab could not be started\n" + "\n".join(tail), where=str(paths.failed_log))
            return control.peer_pid(paths.control) != 0

        try:
            eventually("the lab answers", answers, deadline_s=START_S, every_s=0.05)
        except BaseException:
            child.kill()
            child.wait()
            raise

    def _keep_log_and_clean(self) -> None:
        """Cleans up after a failed start; only the supervisor's log is kept. The caller holds the lock."""
        if self.paths.supervisor_log.exists():
            self.paths.supervisor_log.rename(self.paths.failed_log)
        leftovers.clean(self.paths.state)
        self.paths.lock.unlink()

    def stop(self, progress: Progress = lambda _: None) -> None:
        """Ends the lab and removes all that it made, and what a crashed lab left. It is no error when none runs.

        :raises HaError: while another starts or removes it; (exit 2) without root, or when the state is no lab's.
        """
        preflight.check_root()
        leftovers.check_state(self.paths.state)
        presence = self.presence()
        if presence is Presence.BUSY and lock.holder(self.paths.lock)[0]:
            raise self._busy()
        if self.paths.marker.is_file():
            self.paths.ending.touch()
        if self.paths.state.is_dir():
            # The engine first: it would go on creating what is removed here.
            leftovers.end_processes(self.paths.state, _ENGINE_GROUP)
        if presence is not Presence.ABSENT:
            progress("ending the lab")
            # If it does not answer, or does not end in time, its processes are killed below.
            with contextlib.suppress(HaError):
                control.ask(self.paths.control, "shutdown")
                eventually("the lab ends", lambda: not self.running(), deadline_s=END_S, every_s=0.05)
            leftovers.end_processes(self.paths.state)
        if not self.paths.state.parent.is_dir():
            return
        with self._locked("ending", wait_s=END_S if presence is not Presence.ABSENT else lock.BRIEFLY_S):
            leftovers.clean(self.paths.state)
            self.paths.failed_log.unlink(missing_ok=True)
            self.paths.lock.unlink()

    def status(self) -> Mapping[str, Any]:
        """The supervisor's status: stack, region, image, ports, hosts. :raises HaError: when no lab runs.

        `problem` says why hosts or network are not what the API says; it is empty when they are.
        """
        found: Mapping[str, Any] = self._ask("status")
        return found

    def host_phases(self) -> list[HostPhase]:
        """The phase of each host, in the order of their launch."""
        return [
            HostPhase(
                name=one["name"],
                instance_id=one["instance_id"],
                address=one["address"],
                stage=one["stage"],
                step=one["step"],
                error=one["error"],
                booted_at=one["booted_at"],
                stages_s=one["stages_s"],
                logs=Path(one["logs"]),
            )
            for one in self.status()["hosts"]
        ]

    def enter_network(self) -> None:
        """Moves this process's thread into the lab's internet, where the API is at `endpoint_url`."""
        enter(Path(f"/proc/{self.supervisor_pid()}/ns/net"))

    def in_network(self, command: Sequence[Argument], *, client: bool = False) -> list[Argument]:
        """A command to be run in the lab's internet; with `client`, as a computer outside AWS."""
        pid = self.supervisor_pid()
        path = f"/proc/{pid}/root{self.paths.private}/client" if client else f"/proc/{pid}/ns/net"
        return ["nsenter", f"--net={path}", "--", *command]

    def for_engine(self) -> list[Argument]:
        """The prefix of a command that runs the engine: it runs in the lab's internet, and ends with the lab."""
        cgroups = CgroupTree(self.paths.state)
        return cgroups.argv(cgroups.paths(_ENGINE_GROUP), self.in_network([]))

    def kill_engine(self) -> None:
        """Kills an operation of the engine that runs, as when its machine is lost."""
        leftovers.end_processes(self.paths.state, _ENGINE_GROUP)

    def in_fabric(self, command: Sequence[Argument]) -> list[Argument]:
        """A command to be run in the namespace that forwards the VPC's packets."""
        return ["nsenter", f"--net=/proc/{self.supervisor_pid()}/root{self.paths.private}/fabric", "--", *command]

    def on_host(self, name: str, command: Sequence[Argument]) -> list[Argument]:
        """A command to be run on a host as root with a clean environment."""
        host = self._ask("host", name=name)
        if not host["leader"]:
            raise HaError(f"{name} is not running", where="the lab", fix="`ha lab status` says what it is doing")
        return [
            # First into the supervisor's namespaces, where the host's process id is valid.
            *("nsenter", f"--target={self.supervisor_pid()}", "--mount", "--pid", "--"),
            *("nsenter", f"--target={host['leader']}", "--all", "--"),
            *("env", "-i", f"TERM={os.environ.get('TERM', 'dumb')}"),
            *(f"{key}={value}" for key, value in process.clean_environment().items()),
            *command,
        ]

    def logs(self, name: str) -> list[Path]:
        """The log files of a host: console, cloud-init, set-up; then those of the instances that had its name before.
        For its journal see `journal`.
        """
        host = self._ask("host", name=name)
        logs, instance_id = Path(host["logs"]), host["instance_id"]
        root = self.paths.state / "hosts" / instance_id / "upper"
        inside = [root / "var/log" / one for one in ("cloud-init.log", "cloud-init-output.log", "ha-setup.log")]
        before = [path for path in sorted(logs.glob("i-*/*.log")) if path.parent.name != instance_id]
        return [path for path in (logs / instance_id / "console.log", *inside, *before) if path.exists()]

    def journal(self, name: str, *arguments: str) -> list[Argument]:
        """The command that shows a host's journal, also after its end."""
        return ["journalctl", f"--directory={self.paths.hosts_logs / name / 'journal'}", "--no-pager", *arguments]

    def cut(self, name: str) -> None:
        """Takes a host's network link down, as when its cable is pulled."""
        self._ask("cut", name=name)

    def heal(self, name: str) -> None:
        """Brings a host's network link up again; no error when it is up."""
        self._ask("heal", name=name)

    def power_loss(self, name: str) -> None:
        """Ends a host as a power failure does: its peers get no packet, and the API still says `running`."""
        self._ask("kill", name=name)

    def crash(self, name: str) -> None:
        """Kills every process of a host at once. Its connections are closed, unlike after a power failure."""
        leader = self._ask("host", name=name)["leader"]
        if leader:
            inside = ["nsenter", f"--target={self.supervisor_pid()}", "--mount", "--pid", "--"]
            process.run([*inside, "kill", "-KILL", str(leader)], check=False)

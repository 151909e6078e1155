"""One host's root file system and container: to boot it, run scripts on it, stop it and remove it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab import process
from lab.hosts.cgroups import CgroupTree
from lab.network import topology
from lab.network.namespace import Namespace
from lab.process import Argument, Finished
from lab.waiting import eventually
from spec.errors import HaError

POWER_OFF = signal.SIGRTMIN + 4
REBOOT_EXIT_CODE = 133
"""systemd-nspawn's exit code when the system inside rebooted: it asks to be started again."""
LINK_DEADLINE_S = 30.0
_MEMINFO = "var/lib/lab-meminfo"


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What a host is made from. It does not change while the host exists."""

    instance_id: str
    name: str
    address: IPv4Address
    subnet: IPv4Network
    resolver: IPv4Address
    mac: str
    memory_mib: int
    image: Path
    certificate_authority: str
    """PEM of the lab's CA, which the host trusts."""


class Machine:
    """A host's root file system and container. Its methods are called by one thread at a time (see `driver`)."""

    def __init__(
        self, blueprint: Blueprint, *, directory: Path, logs: Path, cgroups: CgroupTree, fabric: Namespace
    ) -> None:
        self.blueprint = blueprint
        self.logs = logs
        self._directory = directory
        self._cgroups = cgroups
        self._fabric = fabric
        self._container: subprocess.Popen[bytes] | None = None
        self.leader = 0
        """The process id of the host's init as the supervisor sees it; 0 while it is off."""

    @property
    def root(self) -> Path:
        """Its root file system, seen from outside (without what the host mounts in it)."""
        return self._directory / "root"

    @property
    def console(self) -> Path:
        """What it printed on its console, since its first boot."""
        return self.logs / self.blueprint.instance_id / "console.log"

    @property
    def link(self) -> str:
        """The fabric's end of its network link."""
        return topology.host_link(self.blueprint.instance_id)

    @property
    def dev(self) -> Path:
        """Its /dev, while it runs."""
        return Path(f"/proc/{self.leader}/root/dev")

    @property
    def running(self) -> bool:
        """Whether the container is there."""
        return self._container is not None and self._container.poll() is None

    def create(self) -> None:
        """Mounts its disk over the image, and writes the files that differ from host to host."""
        for name in ("upper", "work", "root"):
            (self._directory / name).mkdir(parents=True)
        options = f"lowerdir={self.blueprint.image},upperdir={self._directory}/upper,workdir={self._directory}/work"
        # volatile: a host's disk goes with the lab, so no write waits for the machine's disk.
        process.run(["mount", "-t", "overlay", "-o", f"{options},volatile", "overlay", self.root])
        (self.logs / "journal").mkdir(parents=True, exist_ok=True)
        _write(self.root / "etc/machine-id", hashlib.md5(self.blueprint.instance_id.encode()).hexdigest() + "\n")
        _write(self.root / "etc/systemd/network/10-lab.network", self._network_file())
        _trust(self.root, self.blueprint.certificate_authority)

    def _network_file(self) -> str:
        """The configuration that DHCP would give in a subnet."""
        subnet = self.blueprint.subnet
        return "\n".join(
            [
                "[Match]",
                f"Name={topology.HOST_INTERFACE}",
                "[Link]",
                f"MACAddress={self.blueprint.mac}",
                "[Network]",
                f"Address={self.blueprint.address}/{subnet.prefixlen}",
                f"Gateway={topology.router_address(subnet)}",
                f"DNS={self.blueprint.resolver}",
                "LinkLocalAddressing=no",
                "IPv6AcceptRA=no",
                "",
            ]
        )

    def boot(self) -> None:
        """Starts the container; returns when its init runs and its link exists."""
        groups = self._cgroups.create(self.blueprint.instance_id, memory_mib=self.blueprint.memory_mib)
        nspawn: list[Argument] = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.root}",
            f"--machine={_machine_name(self.blueprint)}",
            "--register=no",
            "--keep-unit",
            f"--network-veth-extra={self.link}:{topology.HOST_INTERFACE}",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=read-only",
            f"--bind={self.logs / 'journal'}:/var/log/journal",
            # Without this, systemd 257 refuses a container on a machine with cgroup v1; on v2 it has no effect.
            "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
        ]
        self._container = process.start(
            self._cgroups.argv(groups, self._fabric.argv(nspawn)),
            log=self.console,
            # The container gets cgroup v2 even where the machine mounts v1 beside it.
            environment={"UNIFIED_CGROUP_HIERARCHY": "1"},
        )
        self.leader = eventually(
            f"{self.blueprint.name} starts", self._find_leader, deadline_s=LINK_DEADLINE_S, every_s=0.02
        )
        self._show_own_memory()

    def _show_own_memory(self) -> None:
        """Mounts a file over /proc/meminfo, which shows the machine's memory: programs size themselves by it."""
        total_kib = self.blueprint.memory_mib * 1024
        # As on such an instance: what its kernel leaves to programs, and what an idle system uses.
        known = {"MemTotal": total_kib * 95 // 100, "MemFree": total_kib // 2, "MemAvailable": total_kib * 3 // 4}
        path = self.root / _MEMINFO
        lines = [
            f"{name}: {known.get(name, 0):>15} kB" for name in (*known, "Buffers", "Cached", "SwapTotal", "SwapFree")
        ]
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        # systemd-nspawn cannot mount below /proc, so it is done inside.
        inside = ["nsenter", f"--target={self.leader}", "--mount", "--"]
        process.run([*inside, "mount", "--bind", "--options=ro", f"/{_MEMINFO}", "/proc/meminfo"])

    def _find_leader(self) -> int:
        container = self._container
        assert container is not None
        if container.poll() is not None:
            raise HaError(
                f"the container of {self.blueprint.name} ended at once (exit code {container.returncode})",
                where=str(self.console),
                fix="read the console log",
            )
        for child in _children(container.pid):
            # Its init is the first process of a PID namespace, and has become systemd.
            if _innermost_pid(child) == 1 and _command_name(child) in ("systemd", "init"):
                return child
        return 0

    def wait(self) -> int:
        """Waits until the container has ended; returns its exit code (`REBOOT_EXIT_CODE`: start it again)."""
        assert self._container is not None
        code = self._container.wait()
        self.leader = 0
        return code

    def power_off(self, deadline_s: float) -> None:
        """Shuts the system down as ACPI's power button does, and kills it after `deadline_s`."""
        container = self._container
        if container is None or container.poll() is not None:
            return
        _signal(self.leader, POWER_OFF)
        try:
            container.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kills every process of the host. The kernel closes its connections, which a power failure does not do."""
        if self._container is not None and self._container.poll() is None:
            if leader := self.leader:
                _signal(leader, signal.SIGKILL)
            else:
                self._container.kill()
            self._container.wait()

    def frozen(self) -> contextlib.AbstractContextManager[None]:
        """Stops all of its processes for as long as the block. May be called by any thread."""
        return self._cgroups.frozen(self.blueprint.instance_id)

    def argv(self, command: Sequence[Argument]) -> list[Argument]:
        """The command, to be run on the host as root with a clean environment."""
        return [
            *("nsenter", f"--target={self.leader}", "--all", "--"),
            *("env", "-i", *(f"{key}={value}" for key, value in process.clean_environment().items())),
            *command,
        ]

    def run_script(self, script: str, *, timeout_s: float) -> Finished:
        """Runs a shell script on the host as root to its end; a failure is returned, not raised.

        :raises TimeoutError: when it ran longer than `timeout_s`; its processes are ended then.
        :raises HaError: when the host is off.
        """
        if not self.leader:
            raise HaError(f"{self.blueprint.name} is not running", where=self.blueprint.instance_id)
        # Limited on the host itself: to end `nsenter` would leave the script running there.
        limit = ["timeout", "--kill-after=2", f"{timeout_s:g}"]
        started = time.monotonic()
        done = process.run(self.argv([*limit, "sh", "-c", script]), check=False)
        if done.exit_code in (124, 137) and time.monotonic() - started >= timeout_s:
            raise TimeoutError(f"it did not end within {timeout_s:g} s")
        return done

    def remove(self) -> None:
        """Removes its disk. Log files outside the journal are kept beside its console's."""
        kept = self.console.parent
        for log in ("cloud-init.log", "cloud-init-output.log", "ha-setup.log"):
            source = self.root / "var/log" / log
            if source.is_file():
                kept.mkdir(exist_ok=True)
                shutil.copyfile(source, kept / log)
        process.run(["umount", self.root])
        shutil.rmtree(self._directory)
        self._cgroups.remove(self.blueprint.instance_id)


def _signal(pid: int, number: int) -> None:
    """Signals a process that may have ended since its id was noted; 0 is no process (`kill` takes it for its group)."""
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _machine_name(blueprint: Blueprint) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", blueprint.name.lower()).strip("-")[:60] or blueprint.instance_id


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _trust(root: Path, pem: str) -> None:
    """Makes a host trust the lab's CA, also when `update-ca-certificates` runs there later."""
    _write(root / "usr/local/share/ca-certificates/event-manager-ha-lab.crt", pem)
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_text(bundle.read_text(encoding="utf-8") + pem, encoding="utf-8")


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The fields after the command's closing bracket: state, parent, ...
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def _innermost_pid(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass
    return 0


def _command_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""

"""Drills in the lab of this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from drills.ground import ANY, LONGEST_S, Roughness, Way
from lab import process
from lab.hosts.cgroups import CgroupTree
from lab.lab import HostPhase, Lab
from lab.network import impaired_links, topology
from lab.process import Argument, Finished
from lab.waiting import eventually
from ops.estate import Estate
from spec.errors import HaError
from spec.settings import Settings
from spec.tiers import Tier

_TABLE = "ha_drill"
_STOP_DEADLINE_S = 60.0


@dataclass(frozen=True)
class LabGround:
    """A `Ground` in a running lab, which this process has entered (`ops.connect`)."""

    lab: Lab
    estate: Estate
    settings: Settings
    _rough: list[tuple[subprocess.Popen[str], Sequence[str]]] = field(default_factory=list, init=False)
    """What makes links bad at present, and those links."""

    @staticmethod
    def lock_of(lab: Lab) -> Path:
        """Held while a drill runs in a lab."""
        return lab.paths.state / "drill.lock"

    @staticmethod
    def spent_of(lab: Lab) -> Path:
        """There while a lab's database is not ours; gone with the lab."""
        return lab.paths.state / "drill.spent"

    @cached_property
    def public_address(self) -> tuple[str, int]:
        for instance in self.estate.instances():
            if instance.tier is Tier.LB and instance.public_address:
                return instance.public_address, 80
        raise HaError("no load balancer holds the public address", where=self.estate.stack)

    def client_argv(self, command: Sequence[str]) -> list[str]:
        return [str(word) for word in self.lab.in_network(command, client=True)]

    def host_argv(self, host: str, command: Sequence[str]) -> list[str]:
        return [str(word) for word in self.lab.on_host(host, command)]

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        return _run(self.host_argv(host, ["sh", "-c", script]), check=check, timeout_s=timeout_s).stdout

    def addresses(self) -> Mapping[str, str]:
        return {one.name: str(one.address) for one in self.settings.plan_hosts()}

    def cut(self, host: str) -> None:
        self.lab.cut(host)

    def mend(self, host: str) -> None:
        self.lab.heal(host)

    def power_loss(self, host: str) -> None:
        self.lab.power_loss(host)

    def crash(self, host: str) -> None:
        self.lab.crash(host)
        # Else healing that comes at once would find it still running.
        eventually(f"{host} is down", lambda: self._stage(host) == "crashed", deadline_s=_STOP_DEADLINE_S)

    def power_on(self, host: str) -> None:
        """As an operator does: the API goes on calling a crashed host running, so it is stopped first."""
        if self._stage(host) in ("booting", "setup", "ready"):
            return
        ec2 = self.estate.client("ec2")
        ids = [one.instance_id for one in self.estate.instances() if one.host == host]
        ec2.stop_instances(InstanceIds=ids, Force=True)
        eventually(f"{host} is off", lambda: self._stage(host) == "stopped", deadline_s=_STOP_DEADLINE_S)
        ec2.start_instances(InstanceIds=ids)
        # Not before its init runs can it be reached into.
        up = ("setup", "ready")
        eventually(f"{host} boots", lambda: self._stage(host) in up, deadline_s=_STOP_DEADLINE_S)

    def _stage(self, host: str) -> str:
        return next(one.stage for one in self._phases() if one.name == host)

    def _phases(self) -> Sequence[HostPhase]:
        return self.lab.host_phases()

    def block(self, ways: Sequence[Way]) -> None:
        self._nft("\n".join([*self._replacing(), *self._rules(ways)]))

    def unblock(self) -> None:
        self._nft("\n".join(self._replacing()))

    def roughen(self, ways: Sequence[Way], roughness: Roughness) -> None:
        addresses, links = self.addresses(), {one.name: topology.host_link(one.instance_id) for one in self._phases()}
        sources: dict[str, list[str]] = {}
        for way in ways:
            sources.setdefault(links[way.destination], []).append(addresses[way.source])
        plan = impaired_links.Plan(
            links=sources, delay_up_to_s=roughness.delay_up_to_s, loss=roughness.loss, max_seconds=LONGEST_S
        )
        self.smooth()
        child = process.converse(self.lab.in_fabric([sys.executable, "-I", impaired_links.__file__]))
        self._rough.append((child, list(sources)))
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(plan.to_json() + "\n")
        child.stdin.flush()
        if child.stdout.readline().strip() != impaired_links.READY:
            self.smooth()
            raise HaError("links between hosts cannot be made bad", where=impaired_links.__file__)

    def smooth(self) -> None:
        while self._rough:
            child, links = self._rough[-1]
            child.communicate()  # at the end of its input it ends, and undoes what it did
            if child.returncode != 0:
                for link in links:
                    _run(self.lab.in_fabric(["tc", "qdisc", "del", "dev", link, "clsact"]), check=False)
            self._rough.pop()

    def throttle(self, host: str, cpus: float | None) -> None:
        instance_id = next(one.instance_id for one in self._phases() if one.name == host)
        CgroupTree(self.lab.paths.state).limit_cpu(instance_id, cpus)

    @staticmethod
    def _replacing() -> list[str]:
        # Deleting what is not there is an error to nft, so it is declared first.
        return [f"table ip {_TABLE}", f"delete table ip {_TABLE}"]

    def _rules(self, ways: Sequence[Way]) -> list[str]:
        addresses = {
            one.name: f"{{ {', '.join(str(a) for a in (one.address, one.second_address) if a is not None)} }}"
            for one in self.settings.plan_hosts()
        }
        lines = [f"table ip {_TABLE} {{", "chain forward {", "type filter hook forward priority -250; policy accept;"]
        for way in ways:
            source = "" if way.source == ANY else f"ip saddr {addresses[way.source]} "
            destination = "" if way.destination == ANY else f"ip daddr {addresses[way.destination]} "
            lines.append(f"{source}{destination}drop")
        return [*lines, "}", "}"]

    def _nft(self, text: str) -> None:
        _run(self.lab.in_fabric(["nft", "-f", "-"]), stdin=text + "\n")


def _run(
    argv: Sequence[Argument], *, check: bool = True, stdin: str | None = None, timeout_s: float | None = None
) -> Finished:
    """Runs a program in a session of its own: Ctrl-C on a terminal reaches all programs there, also those that heal."""
    return process.run(argv, check=check, stdin=stdin, timeout_s=timeout_s, new_session=True)

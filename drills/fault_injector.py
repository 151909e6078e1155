"""Breaks and heals the hosts and the network of a running lab. Healing what is not broken does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

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

LONGEST_S = 7200.0
"""What a fault leaves running on a host or on a link ends by itself after this time, even if nobody heals it."""
ANY = "*"
"""Every address, inside and outside the estate, as an end of a path that is blocked."""
_TABLE = "ha_drill"
_STOP_DEADLINE_S = 60.0


@dataclass(frozen=True)
class NetworkPath:
    """Packets from one host to another, in this direction only; `ANY` for all."""

    source: str
    destination: str


@dataclass(frozen=True)
class Impairment:
    """What a bad network path does to each packet: a random delay of up to `max_delay_s`, and loss.

    `loss` is a probability.
    """

    max_delay_s: float
    loss: float


@dataclass(frozen=True)
class FaultInjector:
    """Faults in a running lab, whose network this process has entered (`lab.connect`)."""

    lab: Lab
    estate: Estate
    settings: Settings
    _impairing: list[tuple[subprocess.Popen[str], Sequence[str]]] = field(default_factory=list, init=False)
    """The processes that impair links at present, and their links."""

    @staticmethod
    def lock_path(lab: Lab) -> Path:
        """Locked while a drill runs in this lab."""
        return lab.paths.state / "drill.lock"

    @staticmethod
    def contender_path(lab: Lab) -> Path:
        """Exists, with the contender's title, while this lab runs another database than ours (`drills.peers`)."""
        return lab.paths.state / "drill.contender"

    @cached_property
    def public_address(self) -> tuple[str, int]:
        """The address and port that visitors use. :raises HaError: when no load balancer holds the address."""
        for instance in self.estate.instances():
            if instance.tier is Tier.LB and instance.public_address:
                return instance.public_address, 80
        raise HaError(
            "no load balancer holds the public address",
            where=self.estate.stack,
            fix="`ha --lab status` shows what is wrong",
        )

    def client_argv(self, command: Sequence[str]) -> list[str]:
        """The command, run on a computer outside AWS."""
        return [str(word) for word in self.lab.in_network(command, client=True)]

    def host_argv(self, host: str, command: Sequence[str]) -> list[str]:
        """The command, run on a host as root, whatever its network does. :raises HaError: when the host is off."""
        return [str(word) for word in self.lab.on_host(host, command)]

    def run(self, host: str, script: str, *, check: bool = True, timeout_s: float = 60) -> str:
        """Runs a shell script on a host as root, whatever its network does; returns what it printed.

        :raises HaError: when it fails.
        """
        return _run(self.host_argv(host, ["sh", "-c", script]), check=check, timeout_s=timeout_s).stdout

    def addresses(self) -> Mapping[str, str]:
        """The private address of each host."""
        return {one.name: str(one.address) for one in self.settings.plan_hosts()}

    def disconnect(self, host: str) -> None:
        """Cuts a host off from the network, as if its cable were pulled."""
        self.lab.cut(host)

    def reconnect(self, host: str) -> None:
        """Connects it again."""
        self.lab.heal(host)

    def power_loss(self, host: str) -> None:
        """Ends a host without closing its connections."""
        self.lab.power_loss(host)

    def crash(self, host: str) -> None:
        """Ends a host; its kernel closes its connections."""
        self.lab.crash(host)
        # Or healing at once would find it still running, and leave it off.
        eventually(f"{host} is down", lambda: self._phase(host) == "crashed", deadline_s=_STOP_DEADLINE_S)

    def kill_engine(self) -> None:
        """Ends an `up` that runs with SIGKILL: it writes nothing any more, and keeps its lease."""
        self.lab.kill_engine()

    def power_on(self, host: str) -> None:
        """Boots a host that has ended, by the API: it still calls a crashed host running, so it is stopped first."""
        if self._phase(host) in ("booting", "setup", "ready"):
            return
        ec2 = self.estate.client("ec2")
        ids = [one.instance_id for one in self.estate.instances() if one.host == host]
        ec2.stop_instances(InstanceIds=ids, Force=True)
        eventually(f"{host} is off", lambda: self._phase(host) == "stopped", deadline_s=_STOP_DEADLINE_S)
        ec2.start_instances(InstanceIds=ids)
        # Commands can be run on it from when its init runs.
        up = ("setup", "ready")
        eventually(f"{host} boots", lambda: self._phase(host) in up, deadline_s=_STOP_DEADLINE_S)

    def _phase(self, host: str) -> str:
        return next(one.stage for one in self._phases() if one.name == host)

    def _phases(self) -> Sequence[HostPhase]:
        return self.lab.host_phases()

    def block(self, paths: Sequence[NetworkPath]) -> None:
        """Drops all packets on these paths, and on no others."""
        self._nft("\n".join([*self._without_table(), *self._rules(paths)]))

    def unblock(self) -> None:
        """Drops no packets."""
        self._nft("\n".join(self._without_table()))

    def impair(self, paths: Sequence[NetworkPath], impairment: Impairment) -> None:
        """Makes these paths, between two hosts each, slow and lossy, and no others; at most for `LONGEST_S`."""
        addresses, links = self.addresses(), {one.name: topology.host_link(one.instance_id) for one in self._phases()}
        sources: dict[str, list[str]] = {}
        for path in paths:
            sources.setdefault(links[path.destination], []).append(addresses[path.source])
        plan = impaired_links.Plan(
            links=sources, delay_up_to_s=impairment.max_delay_s, loss=impairment.loss, max_seconds=LONGEST_S
        )
        self.unimpair()
        child = process.converse(self.lab.in_fabric([sys.executable, "-I", impaired_links.__file__]))
        self._impairing.append((child, list(sources)))
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(plan.to_json() + "\n")
        child.stdin.flush()
        if child.stdout.readline().strip() != impaired_links.READY:
            self.unimpair()
            raise HaError(
                "the network paths between hosts could not be impaired",
                where=impaired_links.__file__,
                fix="needs /dev/net/tun and tc on this machine",
            )

    def unimpair(self) -> None:
        """Makes all network paths as good as they were."""
        while self._impairing:
            child, links = self._impairing[-1]
            child.communicate()  # it undoes its changes and ends at the end of its input
            if child.returncode != 0:
                for link in links:
                    _run(self.lab.in_fabric(["tc", "qdisc", "del", "dev", link, "clsact"]), check=False)
            self._impairing.pop()

    def throttle(self, host: str, cpus: float | None) -> None:
        """Limits a host to so many processors, as a hypervisor does; None removes the limit."""
        instance_id = next(one.instance_id for one in self._phases() if one.name == host)
        CgroupTree(self.lab.paths.state).limit_cpu(instance_id, cpus)

    @staticmethod
    def _without_table() -> list[str]:
        # nft refuses to delete a table that does not exist.
        return [f"table ip {_TABLE}", f"delete table ip {_TABLE}"]

    def _rules(self, paths: Sequence[NetworkPath]) -> list[str]:
        addresses = {
            one.name: f"{{ {', '.join(str(a) for a in (one.address, one.second_address) if a is not None)} }}"
            for one in self.settings.plan_hosts()
        }
        lines = [f"table ip {_TABLE} {{", "chain forward {", "type filter hook forward priority -250; policy accept;"]
        for path in paths:
            source = "" if path.source == ANY else f"ip saddr {addresses[path.source]} "
            destination = "" if path.destination == ANY else f"ip daddr {addresses[path.destination]} "
            lines.append(f"{source}{destination}drop")
        return [*lines, "}", "}"]

    def _nft(self, text: str) -> None:
        _run(self.lab.in_fabric(["nft", "-f", "-"]), stdin=text + "\n")


def _run(
    argv: Sequence[Argument], *, check: bool = True, stdin: str | None = None, timeout_s: float | None = None
) -> Finished:
    """Runs a program in a session of its own: a Ctrl-C on the terminal must not end a program that heals."""
    return process.run(argv, check=check, stdin=stdin, timeout_s=timeout_s, new_session=True)

"""Replaces what manages the database pair of a running estate by a contender, and by ours again at the end."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from components.host_files import HostFile
from drills.fault_injector import FaultInjector
from drills.peers.contenders import OURS, PATRONI, Contender
from drills.peers.files import Files, differing
from drills.peers.firewall import PATRONI_FLOWS, Firewall
from drills.run import healthy_within
from lab.waiting import eventually
from ops.postgres import ADMIN_DATABASE, psql_command
from ops.switchover import Say
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier

SET_UP_S = 600.0
"""A host's set-up installs the packages that the host lacks."""
HEALTHY_S = 240.0
SET_UP_STATE = "/run/ha/setup.json"
SET_UP_AGAIN = f"rm -f {SET_UP_STATE}; systemctl daemon-reload; systemctl restart --no-block ha-setup"

_STOP_PG_AUTO_FAILOVER = {
    Tier.MONITOR: "systemctl stop ha-node-states.timer pgautofailover",
    Tier.DB: "systemctl stop ha-rebuild.timer ha-stalled-disk ha-stalled-keeper ha-stalled-standby pgautofailover "
    "ha-primary-check ha-fence && nft 'add table inet ha_fence; delete table inet ha_fence'",
}
_STOP_PATRONI = {
    Tier.DB: "systemctl stop patroni; systemctl stop etcd; rm -rf /srv/data/patroni /var/lib/etcd/default",
    Tier.MONITOR: "systemctl stop etcd; rm -rf /var/lib/etcd/default",
}
VERSIONS = "dpkg-query -W -f '${Package} ${Version}\\n' pg-auto-failover-cli patroni etcd-server postgresql-17"


def refuse_contender(record: Path) -> None:
    """:raises HaError: with exit code 2 when `record` says that a contender manages the database of this lab."""
    if record.exists():
        raise HaError(
            f"this lab still runs {record.read_text(encoding='utf-8').strip()} in place of our database",
            where=str(record),
            fix="rebuild it: `ha lab down`, then `ha lab up`",
            exit_code=EXIT_USAGE,
        )


class Deployment:
    """What manages the database pair of a lab at present; ours at first.

    :param files: the files of each contender, by its name; ours included.
    :param record: a file with the contender's title, which exists while it is not ours.
    """

    def __init__(self, injector: FaultInjector, files: Mapping[str, Files], record: Path, say: Say) -> None:
        self._injector = injector
        self._files = files
        self._record = record
        self._say = say
        self._deployed = OURS
        self._firewall = Firewall(injector.estate)

    def injector_for(self, contender: Contender) -> FaultInjector:
        """The fault injector, with the contender's settings."""
        return replace(self._injector, settings=contender.settings(self._injector.settings))

    def deploy(self, contender: Contender) -> None:
        """Stops what is deployed and starts the contender. Patroni starts with an empty database each time.

        :raises HaError: when the estate does not become healthy.
        """
        previous, self._deployed = self._deployed, contender
        if previous is contender is OURS:
            healthy_within(self._injector, HEALTHY_S)
            return
        self._say(f"deploying {contender.title}")
        self._record.write_text(f"{contender.title}\n", encoding="utf-8")
        from_or_to_patroni = PATRONI in (previous.software, contender.software)
        if from_or_to_patroni:
            self._stop(previous)
        changes = differing(self._files[previous.name], self._files[contender.name])
        for host, (gone, new) in changes.items():
            self._injector.run(host, "\n".join([f"rm -f {shlex.join(gone)}", *map(_write_command, new)]))
        if from_or_to_patroni:
            self._start(contender)
        else:
            self._set_up(*changes)
        healthy_within(self.injector_for(contender), HEALTHY_S)
        if contender is OURS:
            self._record.unlink()

    def restore(self) -> None:
        """Deploys ours again. :raises HaError: when the estate does not become healthy: the lab must be rebuilt."""
        if self._deployed is OURS:
            return
        try:
            self.deploy(OURS)
        except HaError as error:
            raise HaError(
                f"our database could not be deployed again: {error.what}",
                where=error.where,
                fix="rebuild the lab: `ha lab down`, then `ha lab up`",
            ) from error

    def versions(self) -> tuple[str, ...]:
        """The Debian packages of what is deployed, with their versions."""
        host = self._hosts(Tier.DB)[0]
        wanted = ("patroni ", "etcd-") if self._deployed.software is PATRONI else ("pg-auto-failover",)
        lines = self._injector.run(host, VERSIONS, check=False).splitlines()
        return tuple(line for line in lines if line.startswith((*wanted, "postgresql-17 ")) and line.split()[1:])

    def _stop(self, contender: Contender) -> None:
        """Stops the monitor first, so that it starts no failover, and the primary before its standby, so that the
        standby has all its writes.
        """
        script = _STOP_PATRONI if contender.software is PATRONI else _STOP_PG_AUTO_FAILOVER
        for tier in (Tier.MONITOR, Tier.DB):
            for host in self._primary_first(self._hosts(tier)):
                self._injector.run(host, script[tier], timeout_s=180)
        if contender.software is PATRONI:
            self._firewall.close(PATRONI_FLOWS)

    def _primary_first(self, hosts: Sequence[str]) -> list[str]:
        asked = psql_command(ADMIN_DATABASE, "select pg_is_in_recovery()")
        return sorted(hosts, key=lambda host: self._injector.run(host, asked, check=False).strip() != "f")

    def _start(self, contender: Contender) -> None:
        """Starts the contender's database, which may be empty, and the application on it."""
        if contender.software is PATRONI:
            self._firewall.open(PATRONI_FLOWS)
        self._set_up(*self._hosts(Tier.MONITOR), *self._hosts(Tier.DB))
        for host in self._hosts(Tier.DB):  # a host may have become the primary after its set-up
            self._injector.run(host, "/usr/local/sbin/ha-database")
        for host in self._hosts(Tier.APP):  # it updates the schema when it starts
            self._injector.run(host, "systemctl restart event-manager")

    def _set_up(self, *hosts: str) -> None:
        for host in hosts:
            self._injector.run(host, SET_UP_AGAIN)
        for host in hosts:
            eventually(f"{host} is set up", partial(self._is_set_up, host), deadline_s=SET_UP_S, every_s=0.5)

    def _is_set_up(self, host: str) -> bool:
        """:raises HaError: when its set-up failed, with its last lines."""
        setup = json.loads(self._injector.run(host, f"cat {SET_UP_STATE}", check=False) or "{}")
        if setup.get("state") == "failed":
            raise HaError(
                f"the set-up of {host} failed: {setup['error'][-800:]}",
                where=f"step {setup['step']}",
                fix=f"`journalctl -u ha-setup` on {host} shows all of it",
            )
        return bool(setup.get("state") == "ready")

    def _hosts(self, tier: Tier) -> list[str]:
        return [one.name for one in self._injector.settings.plan_hosts() if one.tier is tier]


def _write_command(file: HostFile) -> str:
    """A shell command that writes a file on a host."""
    content = base64.b64encode(file.content.encode()).decode()
    mode = "0755" if file.executable else "0644"
    return f"echo {content} | base64 -d | install -D -m {mode} /dev/stdin {shlex.quote(file.path)}"

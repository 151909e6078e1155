"""Puts a contender in place on the hosts of a running estate, and ours again at the end."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from components.user_data import HostFile
from drills.lab_ground import LabGround
from drills.peers.contenders import OURS, PATRONI, Contender
from drills.peers.files import Files, differing
from drills.peers.firewall import PATRONI_FLOWS, Firewall
from drills.run import healthy_within
from lab.waiting import eventually
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier

Say = Callable[[str], None]
SET_UP_S = 600.0
"""A host's set-up; packages that it lacks are installed by it."""
HEALTHY_S = 240.0
SET_UP_STATE = "/run/ha/setup.json"
SET_UP_AGAIN = f"rm -f {SET_UP_STATE}; systemctl daemon-reload; systemctl restart --no-block ha-setup"

_LEAVE_PG_AUTO_FAILOVER = {
    Tier.MONITOR: "systemctl stop ha-node-states.timer pgautofailover",
    Tier.DB: "systemctl stop ha-stalled-disk ha-stalled-keeper ha-stalled-standby pgautofailover "
    "ha-primary-check ha-fence && nft 'add table inet ha_fence; delete table inet ha_fence'",
}
_LEAVE_PATRONI = {
    Tier.DB: "systemctl stop patroni; systemctl stop etcd; rm -rf /srv/data/patroni /var/lib/etcd/default",
    Tier.MONITOR: "systemctl stop etcd; rm -rf /var/lib/etcd/default",
}
VERSIONS = "dpkg-query -W -f '${Package} ${Version}\\n' pg-auto-failover-cli patroni etcd-server postgresql-17"


def refuse_spent(mark: Path) -> None:
    """:raises HaError: with exit code 2 when other software was put in place and ours did not come back."""
    if mark.exists():
        raise HaError(
            f"the estate of this lab is spent: {mark.read_text(encoding='utf-8').strip()} was put in place of its "
            "database and not taken away",
            where=str(mark),
            fix="`ha lab down`, then `ha lab up`",
            exit_code=EXIT_USAGE,
        )


class Stage:
    """The estate of a lab. Ours is in place at first; until it is again, `mark` says that the estate is not ours.

    :param files: those of each contender that may be put in place, by name; ours among them.
    """

    def __init__(self, ground: LabGround, files: Mapping[str, Files], mark: Path, say: Say) -> None:
        self._ground = ground
        self._files = files
        self._mark = mark
        self._say = say
        self._present = OURS
        self._firewall = Firewall(ground.estate)

    def ground(self, contender: Contender) -> LabGround:
        """The ground with the contender's settings."""
        return replace(self._ground, settings=contender.settings(self._ground.settings))

    def put(self, contender: Contender) -> None:
        """Takes away what is in place, and puts the contender there. Patroni always begins with an empty database.

        :raises HaError: when the estate does not become healthy with it.
        """
        leaving, self._present = self._present, contender
        if leaving is contender is OURS:
            healthy_within(self._ground, HEALTHY_S)
            return
        self._say(f"putting in place: {contender.title}")
        self._mark.write_text(f"{contender.title}\n", encoding="utf-8")
        another = PATRONI in (leaving.software, contender.software)
        if another:
            self._leave(leaving)
        changes = differing(self._files[leaving.name], self._files[contender.name])
        for host, (gone, new) in changes.items():
            self._ground.run(host, "\n".join([f"rm -f {shlex.join(gone)}", *map(_writing, new)]))
        if another:
            self._enter(contender)
        else:
            self._set_up(*changes)
        healthy_within(self.ground(contender), HEALTHY_S)
        if contender is OURS:
            self._mark.unlink()

    def put_back(self) -> None:
        """Ours again. :raises HaError: saying that the estate is spent, when it does not come back."""
        if self._present is OURS:
            return
        try:
            self.put(OURS)
        except HaError as error:
            raise HaError(
                f"ours could not be put in place again, so the estate is spent: {error.what}",
                where=error.where,
                fix="`ha lab down`, then `ha lab up`",
            ) from error

    def versions(self) -> tuple[str, ...]:
        """The Debian packages of the contender in place."""
        host = self._hosts(Tier.DB)[0]
        wanted = ("patroni ", "etcd-") if self._present.software is PATRONI else ("pg-auto-failover",)
        lines = self._ground.run(host, VERSIONS, check=False).splitlines()
        return tuple(line for line in lines if line.startswith((*wanted, "postgresql-17 ")) and line.split()[1:])

    def _leave(self, contender: Contender) -> None:
        """Stops what is in place: the monitor first, which then fails nobody over, and the primary before its standby,
        which so gets all that it has."""
        away = _LEAVE_PATRONI if contender.software is PATRONI else _LEAVE_PG_AUTO_FAILOVER
        for tier in (Tier.MONITOR, Tier.DB):
            for host in self._primary_first(self._hosts(tier)):
                self._ground.run(host, away[tier], timeout_s=180)
        if contender.software is PATRONI:
            self._firewall.close(PATRONI_FLOWS)

    def _primary_first(self, hosts: Sequence[str]) -> list[str]:
        asked = "/usr/local/sbin/ha-postgres psql -XqAt -d postgres -c 'select pg_is_in_recovery()'"
        return sorted(hosts, key=lambda host: self._ground.run(host, asked, check=False).strip() != "f")

    def _enter(self, contender: Contender) -> None:
        """Starts another database, empty or not, for the application."""
        if contender.software is PATRONI:
            self._firewall.open(PATRONI_FLOWS)
        self._set_up(*self._hosts(Tier.MONITOR), *self._hosts(Tier.DB))
        for host in self._hosts(Tier.DB):  # one may have become the primary after its set-up
            self._ground.run(host, "/usr/local/sbin/ha-database")
        for host in self._hosts(Tier.APP):  # the schema is brought up to date when it starts
            self._ground.run(host, "systemctl restart event-manager")

    def _set_up(self, *hosts: str) -> None:
        for host in hosts:
            self._ground.run(host, SET_UP_AGAIN)
        for host in hosts:
            eventually(f"{host} is set up", partial(self._is_set_up, host), deadline_s=SET_UP_S, every_s=0.5)

    def _is_set_up(self, host: str) -> bool:
        """:raises HaError: when its set-up failed, with what it said last."""
        said = json.loads(self._ground.run(host, f"cat {SET_UP_STATE}", check=False) or "{}")
        if said.get("state") == "failed":
            raise HaError(f"{host} could not be set up: {said['error'][-800:]}", where=f"step {said['step']}")
        return bool(said.get("state") == "ready")

    def _hosts(self, tier: Tier) -> list[str]:
        return [one.name for one in self._ground.settings.plan_hosts() if one.tier is tier]


def _writing(file: HostFile) -> str:
    """A shell command that puts a file on a host."""
    content = base64.b64encode(file.content.encode()).decode()
    return f"echo {content} | base64 -d | install -D -m {file.permissions} /dev/stdin {shlex.quote(file.path)}"

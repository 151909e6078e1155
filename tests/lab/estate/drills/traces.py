"""What a drill can leave in the lab and in the estate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from drills.probe import TABLE as PROBE_TABLE
from drills.soak import TABLE as BULK_TABLE
from lab import process
from lab.hosts.cgroups import CgroupTree
from ops.postgres import ADMIN_DATABASE, psql_argv
from tests.lab.estate.booted import Booted

DATABASES = ("db1", "db2")
_UNLIMITED = ("-1", "max")


class Traces:
    """Looks for each kind of trace."""

    def __init__(self, booted: Booted) -> None:
        self._booted = booted

    def of_harm(self) -> dict[str, str]:
        """What is broken at present, by its kind; hosts that are off are `off`."""
        off = [one.name for one in self._booted.lab.host_phases() if one.stage not in ("setup", "ready")]
        looks: dict[str, Callable[[], str]] = {"off": partial(" ".join, off)}
        looks |= {"rules": self._rules, "queues": self._queues, "taps": self._taps}
        for host in DATABASES:
            if host not in off:
                looks[f"units of {host}"] = partial(self._units, host)
                looks[f"files of {host}"] = partial(self._files, host)
            looks[f"limit of {host}"] = partial(self._limit, host)
        return _found(looks)

    def in_the_database(self) -> dict[str, str]:
        """The tables and rows that drills use; asks the primary."""
        return _found({"tables": self._tables, "rows": self._rows})

    def _fabric(self, *command: str, word: str) -> str:
        lines = process.run(self._booted.lab.in_fabric(command)).stdout.splitlines()
        return "\n".join(line for line in lines if word in line)

    def _rules(self) -> str:
        return self._fabric("nft", "list", "tables", word="ha_drill")

    def _queues(self) -> str:
        return self._fabric("tc", "qdisc", "show", word="clsact")

    def _taps(self) -> str:
        return self._fabric("ip", "-brief", "link", word="impaired")

    def _units(self, host: str) -> str:
        listing = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "ha-drill*")
        return self._booted.on_host(host, *listing).stdout

    def _files(self, host: str) -> str:
        return self._booted.on_host(host, "find", "/srv/data", "-maxdepth", "1", "-name", "ha-drill*").stdout

    def _limit(self, host: str) -> str:
        phase = next(one for one in self._booted.lab.host_phases() if one.name == host)
        groups = [root / phase.instance_id for root in CgroupTree(self._booted.state).roots]
        files = [group / name for group in groups for name in ("cpu.max", "cpu.cfs_quota_us")]
        limits = [path.read_text(encoding="ascii") for path in files if path.exists()]
        return "".join(one for one in limits if one.split()[0] not in _UNLIMITED)

    def _tables(self) -> str:
        return self._ask(ADMIN_DATABASE, f"select to_regclass('{PROBE_TABLE}'), to_regclass('{BULK_TABLE}')").strip(
            "|\n"
        )

    def _rows(self) -> str:
        return self._ask(
            self._booted.settings.database.name, "select title from events where title like 'drill-%' limit 3"
        )

    def _ask(self, database: str, query: str) -> str:
        primary = self._booted.status()["database"]["primary"]
        return self._booted.on_host(primary, *psql_argv(database, query)).stdout


def _found(looks: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    return {kind: text for kind, look in looks.items() if (text := look().strip())}

"""Others whom a database host asks over a connection that stays, and is opened when somebody asks."""

from collections.abc import Callable
from typing import Any

HERE = "host=/run/postgresql dbname=postgres user=postgres connect_timeout=2"
# A peer that is gone is noticed at once, not when TCP gives up.
_LINK = "connect_timeout=2 tcp_user_timeout=1500 keepalives_idle=1 keepalives_interval=1 keepalives_count=2"


def monitor_at(address: str, port: str) -> str:
    """Where the failover monitor is asked."""
    return f"host={address} port={port} dbname=pg_auto_failover user=autoctl_node channel_binding=require {_LINK}"


def standby_at(address: str, port: str) -> str:
    """Where the other node is asked."""
    return f"host={address} port={port} dbname=postgres user=pgautofailover_replicator channel_binding=require {_LINK}"


class Witness:
    """A connection that is opened when somebody asks. `connect` is psycopg2's."""

    def __init__(self, connect: Callable[[str], Any], where: str, query: str, *values: str) -> None:
        self._connect, self._where, self._query, self._values = connect, where, query, values
        self._link: Any = None

    def ask(self, *more: float) -> bool:
        """Whether the answer is yes; no answer is an exception, and no row a LookupError. `more` values of the query
        come after those given once."""
        if self._link is None:
            self._link = self._connect(self._where)
            self._link.autocommit = True
        with self._link.cursor() as cursor:
            cursor.execute(self._query, (*self._values, *more))
            row = cursor.fetchone()
        if row is None:
            raise LookupError("nothing is known there")
        return bool(row == (True,))

    def leave(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

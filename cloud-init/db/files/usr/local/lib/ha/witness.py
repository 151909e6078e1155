"""Queries to another PostgreSQL over a connection that is opened on demand and stays open."""

from collections.abc import Callable
from typing import Any

HERE = "host=/run/postgresql dbname=postgres user=postgres connect_timeout=2"
# A peer that stops responding is noticed in seconds, not when TCP times out.
_LINK = "connect_timeout=2 tcp_user_timeout=1500 keepalives_idle=1 keepalives_interval=1 keepalives_count=2"


def monitor_at(address: str, port: str) -> str:
    """Connection string of the failover monitor."""
    return f"host={address} port={port} dbname=pg_auto_failover user=autoctl_node channel_binding=require {_LINK}"


def standby_at(address: str, port: str) -> str:
    """Connection string of the other node."""
    return f"host={address} port={port} dbname=postgres user=pgautofailover_replicator channel_binding=require {_LINK}"


class Witness:
    """A yes-or-no query, over a connection that is opened on demand. `connect` is psycopg2's."""

    def __init__(self, connect: Callable[[str], Any], where: str, query: str, *values: str) -> None:
        self._connect, self._where, self._query, self._values = connect, where, query, values
        self._link: Any = None

    def ask(self, *more: float) -> bool:
        """Whether the answer is yes; no answer is an exception, no row a LookupError. `more` values follow those of the
        constructor."""
        if self._link is None:
            self._link = self._connect(self._where)
            self._link.autocommit = True
        with self._link.cursor() as cursor:
            cursor.execute(self._query, (*self._values, *more))
            row = cursor.fetchone()
        if row is None:
            raise LookupError("the query returned no row")
        return bool(row == (True,))

    def leave(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

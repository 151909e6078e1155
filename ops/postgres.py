"""How to ask the PostgreSQL of a host, on that host: psql as the user `postgres`. Pure."""

from __future__ import annotations

import shlex
from typing import Final

HA_POSTGRES: Final = "/usr/local/sbin/ha-postgres"
"""Runs a command as `postgres`, with PostgreSQL's and pg_auto_failover's environment."""
ADMIN_DATABASE: Final = "postgres"
MONITOR_DATABASE: Final = "pg_auto_failover"
"""On the monitor: the failover monitor's own."""

# No psqlrc, no messages, values only, no prompt for a password; the exit code says whether a statement failed.
_PSQL = (HA_POSTGRES, "psql", "-XqAtw", "-v", "ON_ERROR_STOP=1")


def psql_argv(database: str, *statements: str) -> list[str]:
    """A command that runs statements, each in a transaction of its own, and ends at the first that fails.

    Without statements it reads them from standard input.
    """
    return [*_PSQL, "-d", database, *(word for one in statements for word in ("-c", one))]


def psql_command(database: str, *statements: str) -> str:
    """The same for a shell."""
    return shlex.join(psql_argv(database, *statements))

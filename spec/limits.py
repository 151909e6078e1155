"""Numbers that both a rule between settings and a host's file use: rendered into the file from here."""

from __future__ import annotations

from typing import Final

CHECKS_TO_FALL: Final = 2
"""Failed health checks in a row until HAProxy marks a server down."""
CHECK_TIMEOUT_MS: Final = 400
"""How long the load balancer waits for the answer to a health check of the application."""
ROUTE_CHECK_MS: Final = 250
"""`downinter` of the application host's routes: how often they check a server that is down."""
ROUTE_CHECK_TIMEOUT_MS: Final = 900
"""How long the application host's routes wait for the answer to a check."""
POOL_RETRY_MS: Final = 100
"""pgbouncer's `server_login_retry`: its wait after a failed connection."""
SUPERUSER_RESERVED_CONNECTIONS: Final = 5
RESERVED_CONNECTIONS: Final = 10
"""Of PostgreSQL's `max_connections`: for health checks and operators when the application uses all others."""
STATEMENT_MS: Final = 3000
"""The application's timeout for a statement: DATABASE_QUERY_TIMEOUT_MS in app/src/config.ts."""

WAL_SEGMENT_MIB: Final = 1
"""`initdb --wal-segsize`. A switch streams a whole segment to the standby: 46 GB a month, or 735 with the usual 16."""
ARCHIVE_TIMEOUT_S: Final = 60
"""PostgreSQL's `archive_timeout`: what is lost when a site is lost."""

REDIS_WAIT_MS: Final = 5000
"""How long the application lets requests wait for Redis: longer than a failover of Redis."""


def by_name() -> dict[str, int]:
    """Every limit under its name in lower case, for templates."""
    return {name.lower(): value for name, value in globals().items() if name.isupper() and isinstance(value, int)}

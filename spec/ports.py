"""Every port of the estate."""

from __future__ import annotations

from typing import Final

HTTP: Final = 80
HTTPS: Final = 443
HAPROXY_STATS: Final = 8404
APPLICATION: Final = 5000
POSTGRES: Final = 5432
PRIMARY_CHECK: Final = 8008  # like Patroni's, with the same answers: whether a database host is writable
DATABASE_ROUTE: Final = 5433  # on an application host's loopback: to the writable primary
PGBOUNCER: Final = 6432  # in the name of its socket; nothing listens on it
REDIS: Final = 6379
SESSIONS_ROUTE: Final = 6380  # on an application host's loopback, with two caches: to the master
SENTINEL: Final = 26379
NODE_EXPORTER: Final = 9100
POSTGRES_EXPORTER: Final = 9187
REDIS_EXPORTER: Final = 9121
PROMETHEUS: Final = 9090
ALERTMANAGER: Final = 9093


def by_name() -> dict[str, int]:
    """Every port under its name in lower case, for templates."""
    return {name.lower(): value for name, value in globals().items() if name.isupper() and isinstance(value, int)}

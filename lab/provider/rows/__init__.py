"""The table: one row a resource type."""

from __future__ import annotations

from lab.provider.row import Row
from lab.provider.rows.alerts import ROWS as _ALERTS
from lab.provider.rows.buckets import ROWS as _BUCKETS
from lab.provider.rows.identity import ROWS as _IDENTITY
from lab.provider.rows.instance import ROWS as _INSTANCE
from lab.provider.rows.network import ROWS as _NETWORK
from lab.provider.rows.routes import ROWS as _ROUTES
from lab.provider.rows.security_groups import ROWS as _SECURITY_GROUPS
from lab.provider.rows.volumes import ROWS as _VOLUMES

ROWS: dict[str, Row] = {
    row.type: row
    for rows in (
        _NETWORK,
        _ROUTES,
        _SECURITY_GROUPS,
        _INSTANCE,
        _VOLUMES,
        _IDENTITY,
        _BUCKETS,
        _ALERTS,
    )
    for row in rows
}

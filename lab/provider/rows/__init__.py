"""The table: one row a resource type."""

from __future__ import annotations

from lab.provider.row import Row
from lab.provider.rows import (
    alerts,
    buckets,
    identity,
    instance,
    network,
    routes,
    security_groups,
    volumes,
)

ROWS: dict[str, Row] = {
    row.type: row
    for module in (network, routes, security_groups, instance, volumes, identity, buckets, alerts)
    for row in module.ROWS
}

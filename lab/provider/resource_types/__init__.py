"""The resource types that the lab supports, by their type token."""

from __future__ import annotations

from itertools import chain

from lab.provider.resource_type import ResourceType
from lab.provider.resource_types import (
    alerts,
    buckets,
    identity,
    instance,
    launch_template,
    network,
    routes,
    security_groups,
    volumes,
)

RESOURCE_TYPES: dict[str, ResourceType] = {
    one.type: one
    for one in chain(
        network.RESOURCE_TYPES,
        routes.RESOURCE_TYPES,
        security_groups.RESOURCE_TYPES,
        instance.RESOURCE_TYPES,
        launch_template.RESOURCE_TYPES,
        volumes.RESOURCE_TYPES,
        identity.RESOURCE_TYPES,
        buckets.RESOURCE_TYPES,
        alerts.RESOURCE_TYPES,
    )
}

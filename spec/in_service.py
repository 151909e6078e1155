"""Keys in the artifact bucket of the objects that say which hosts are in service."""

from __future__ import annotations


def in_service_prefix(host: str) -> str:
    """Before the instance's id in the key of a host's object."""
    return f"in-service/{host}/"


def host_of(key: str) -> str:
    """The host that a key names."""
    return key.split("/")[1]


ESTATE_KEY = "in-service"
"""The object that is made once every host of the estate was in service for the first time."""

"""What ha-report reports of a database host with Patroni, from Patroni's own view of the cluster."""

import json
import os
import urllib.request
from typing import Any

CLUSTER = "http://127.0.0.1:8008/cluster"


def _members() -> dict[str, dict[str, Any]]:
    """Patroni's members by name; none when it does not answer."""
    try:
        with urllib.request.urlopen(CLUSTER, timeout=5) as answer:
            return {member["name"]: member for member in json.load(answer)["members"]}
    except (OSError, ValueError):
        return {}


def facts() -> dict[str, Any]:
    """`replication`: sync, async or none on the primary; a standby reports only that it is streaming."""
    members = _members()
    own = members.pop(os.uname().nodename, {})
    role = {"leader": "primary", "replica": "standby", "sync_standby": "standby"}.get(own.get("role", ""), "down")
    streaming = [one for one in members.values() if one["state"] == "streaming"]
    if role == "primary":
        found = {"sync" if one["role"] == "sync_standby" else "async" for one in streaming}
        replication = "sync" if "sync" in found else "async" if found else "none"
    else:
        replication = "streaming" if own.get("state") == "streaming" else "none"
    lags = [one["lag"] for one in streaming if isinstance(one.get("lag"), int)]
    return {
        "role": role,
        "state": own.get("state", "unknown"),
        "replication": replication,
        "lag_bytes": max(lags, default=0),
    }


def checks() -> list[dict[str, Any]]:
    """Patroni is redundant only with a synchronous standby: it promotes no other member."""
    now = facts()
    wanted = {"primary": "sync", "standby": "streaming"}.get(now["role"])
    return [
        {"name": "postgresql", "ok": now["role"] != "down", "detail": now["role"]},
        {"name": "node", "ok": now["state"] in ("running", "streaming"), "detail": now["state"]},
        {"name": "replication", "ok": now["replication"] == wanted, "detail": now["replication"]},
    ]

"""The load balancer's part of ha-report: HAProxy runs, answers visitors and has a healthy server."""

import json
import socket
from pathlib import Path
from typing import Any

from haproxy_stats import servers
from maintenance import shown

PAIR = Path("/run/ha/address.json")  # with two load balancers: this one's VRRP state, and whether it has the address
STATES = ("MASTER", "BACKUP")


def _pair() -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(PAIR.read_text(encoding="utf-8")) if PAIR.exists() else None
    return found


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=3):
            return True
    except OSError:
        return False


def checks() -> list[dict[str, Any]]:
    state = servers("application")
    up = [name for name, status in state.items() if status.startswith("UP")]
    said = ", ".join(f"{name} {status}" for name, status in state.items())
    pair = _pair()
    agreed = [{"name": "keepalived", "ok": pair["state"] in STATES, "detail": pair["state"]}] if pair else []
    return [
        *agreed,
        {"name": "haproxy", "ok": bool(state), "detail": "answers" if state else "does not answer on its socket"},
        {"name": "servers", "ok": bool(up), "detail": said or "unknown"},
        *({"name": f"port {port}", "ok": _answers(port), "detail": ""} for port in (80, 443)),
    ]


def facts() -> dict[str, Any]:
    """`active`: this load balancer answers visitors at the public address; `maintenance`: what ha-maintenance shows."""
    pair = _pair()
    here = pair["active"] if pair else True
    return {"active": here and _answers(80), "servers": servers("application"), "maintenance": shown()}

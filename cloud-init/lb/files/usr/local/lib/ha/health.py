"""What ha-report says of a load balancer: HAProxy runs, answers visitors and has a server to send them to."""

import socket
from typing import Any

from haproxy_stats import servers


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
    return [
        {"name": "haproxy", "ok": bool(state), "detail": "answers" if state else "does not answer on its socket"},
        {"name": "servers", "ok": bool(up), "detail": said or "unknown"},
        *({"name": f"port {port}", "ok": _answers(port), "detail": ""} for port in (80, 443)),
    ]


def facts() -> dict[str, Any]:
    """`active`: visitors who arrive at this load balancer are answered."""
    return {"active": _answers(80), "servers": servers("application")}

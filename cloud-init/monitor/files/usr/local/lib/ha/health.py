"""The monitor's part of ha-report: the failover monitor and its nodes, Prometheus, Alertmanager."""

import json
import subprocess
import urllib.error
import urllib.request
from typing import Any

NODES = """select coalesce(json_agg(json_build_object('name', nodename, 'state', reportedstate, 'goal', goalstate,
'health', health) order by nodename), '[]') from pgautofailover.node"""
READY = {"prometheus": "http://127.0.0.1:9090/-/ready", "alertmanager": "http://127.0.0.1:9093/-/ready"}


def _nodes() -> list[dict[str, Any]] | None:
    command = ["/usr/local/sbin/ha-postgres", "psql", "-XqAt", "-d", "pg_auto_failover", "-c", NODES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    nodes: list[dict[str, Any]] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return nodes


def _ready(name: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(READY[name], timeout=3) as answer:
            return {"name": name, "ok": answer.status == 200, "detail": f"answers {answer.status}"}
    except (urllib.error.URLError, OSError) as error:
        return {"name": name, "ok": False, "detail": str(error)}


def checks() -> list[dict[str, Any]]:
    known = _nodes() is not None
    detail = "answers" if known else "its database does not answer"
    monitor = {"name": "failover monitor", "ok": known, "detail": detail}
    return [monitor, *map(_ready, READY)]


def facts() -> dict[str, Any]:
    return {"nodes": _nodes() or []}

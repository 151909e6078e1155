"""The database host's part of ha-report: its node of the pair, and replication as this node sees it."""

import json
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HEALTHY_STATES = ("primary", "secondary", "single")
QUERY = """select json_build_object(
  'role', case when pg_is_in_recovery() then 'standby'
               when current_setting('default_transaction_read_only')::bool then 'read-only' else 'primary' end,
  'replication', coalesce(
    (select case when bool_or(sync_state in ('sync', 'quorum')) then 'sync' else 'async' end
     from pg_stat_replication where application_name like 'pgautofailover%' and state = 'streaming'
     having count(*) > 0),
    (select 'streaming' from pg_stat_wal_receiver where status = 'streaming'), 'none'),
  'lag_bytes', coalesce(
    (select max(pg_wal_lsn_diff(sent_lsn, replay_lsn)) from pg_stat_replication
     where state = 'streaming' and not pg_is_in_recovery()),
    case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) end, 0),
  'copy', (select json_build_object('bytes', backup_streamed, 'of', backup_total)
    from pg_stat_progress_basebackup limit 1))"""


def _run(*command: str) -> Any:
    """The JSON that a command prints when run as postgres; empty when it fails."""
    full = ["/usr/local/sbin/ha-postgres", *command]
    done = subprocess.run(full, capture_output=True, text=True, timeout=10, check=False)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else {}


def _known(name: str, fresh_s: float) -> Any:
    """What the last look at the archive or the backups found; None on a standby, and when that was too long ago."""
    path = Path(f"/run/ha/{name}.json")
    with suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime < fresh_s:
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def _planned_nodes() -> int:
    return len(set(re.findall(r"\bdb\d+\b", Path("/etc/hosts").read_text(encoding="utf-8"))))


def facts() -> dict[str, Any]:
    """`replication`: sync, async or none on the primary; a standby knows only whether it is streaming. `archive`,
    `backups` and `copy` are the primary's: what waits and for how many seconds, when the newest backups began, and how
    far the other node is that copies its data.
    """
    state = _run("pg_autoctl", "show", "state", "--local", "--json")
    found = _run("psql", "-XqAt", "-d", "postgres", "-c", QUERY)
    return {
        "node_state": state.get("current_group_state", "unknown"),
        "goal_state": state.get("assigned_group_state", "unknown"),
        "role": found.get("role", "down"),
        "replication": found.get("replication", "none"),
        "lag_bytes": found.get("lag_bytes", 0),
        "copy": found.get("copy"),
        "archive": _known("archive", 120),
        "backups": _known("backups", 1800),
    }


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def checks() -> list[dict[str, Any]]:
    now = facts()
    state, goal = now["node_state"], now["goal_state"]
    let_in = "elements" in _said("nft", "list", "set", "inet", "ha_fence", "lease")
    route = _said("curl", "-sm2", "-w%{http_code}", "http://127.0.0.1:8008/primary")
    found = [
        {"name": "postgresql", "ok": now["role"] != "down", "detail": now["role"]},
        {"name": "fence", "ok": let_in, "detail": "open to applications" if let_in else "no witness"},
        {"name": "route", "ok": route == ("200" if now["role"] == "primary" else "503"), "detail": route},
        {"name": "node", "ok": state == goal and state in HEALTHY_STATES, "detail": f"{state}, assigned {goal}"},
    ]
    if _planned_nodes() > 1:
        for name in ("stalled-disk", "stalled-keeper", "stalled-standby"):
            runs = _said("systemctl", "is-active", f"ha-{name}").strip()
            found.append({"name": name, "ok": runs == "active", "detail": runs})
        wanted = {"primary": ("sync",), "standby": ("streaming",)}.get(now["role"], ())
        found.append({"name": "replication", "ok": now["replication"] in wanted, "detail": now["replication"]})
        if rebuild := _known("rebuild", 120):
            found.append({"name": "a new copy needs a person", "ok": False, "detail": rebuild["text"]})
    return found

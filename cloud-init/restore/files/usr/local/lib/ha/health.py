"""The restore host's part of ha-report: how far the restore is, and whether the restored database answers."""

from typing import Any

import restored


def checks() -> list[dict[str, Any]]:
    now = restored.state()
    found = [{"name": "restore", "ok": now["phase"] != "failed", "detail": now["error"] or now["phase"]}]
    if now["phase"] == "running":
        answer = {"name": "postgresql", "ok": True, "detail": "answers"}
        try:
            restored.sql("select 1")
        except restored.Failed as failed:
            answer |= {"ok": False, "detail": str(failed)}
        found.append(answer)
    return found


def facts() -> dict[str, Any]:
    """`ends`: when this host powers itself off."""
    now = restored.state()
    return {
        "restored": now["phase"] == "running",
        "phase": now["phase"],
        "recovered_until": now["recovered_until"],
        "backup": now["backup"],
        "ends": restored.ends(),
    }

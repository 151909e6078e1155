"""The restored database of this host, as its programs see it: how to ask it, and how far the restore is."""

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

DATA = Path("/srv/data/postgresql/main")
STATE = Path("/srv/data/restore.json")
ENDS = Path("/var/lib/ha/ends")
UNIT = "ha-restored"
RESTORES = ("fetching", "recovering")  # the phases in which ha-restore runs
_CANARY = "select to_json((select max(at) from ha.canary))"


class Failed(Exception):
    """What is wrong, as one sentence for the operator, and the exit status that says of which kind it is."""

    def __init__(self, why: str, status: int = 1) -> None:
        super().__init__(why)
        self.status = status


def said(*command: str) -> str:
    """What a command prints. :raises Failed: when it fails, with the end of its standard error in one line."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        why = " ".join(done.stderr.split())[-300:] or f"exit status {done.returncode}"
        raise Failed(f"{' '.join(command[:2])}: {why}")
    return done.stdout.strip()


def sql(query: str) -> Any:
    """The value of a query that returns one JSON value. :raises Failed: also when PostgreSQL does not answer."""
    found = said("ha-postgres", "psql", "-XqAtw", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", query)
    return json.loads(found) if found else None


def canary() -> str | None:
    """When the newest row of ha.canary was written; None: there is none, or the table is not there."""
    found: str | None = sql(_CANARY) if sql("select to_json(to_regclass('ha.canary') is not null)") else None
    return found


def note(**changes: Any) -> None:
    """Change the state that the next one to ask sees, also after a reboot."""
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(_noted() | changes), encoding="utf-8")
    new.replace(STATE)


def _noted() -> dict[str, Any]:
    with suppress(FileNotFoundError, ValueError):
        found: dict[str, Any] = json.loads(STATE.read_text(encoding="utf-8"))
        return found
    return {}


def state() -> dict[str, Any]:
    """`phase`: blank, fetching, recovering, running (the database is there) or failed. With it: `backup`, `error`,
    and of a restore that is done `recovered_until`.
    """
    found = {"phase": "blank", "backup": None, "recovered_until": None, "error": ""} | _noted()
    if found["phase"] in RESTORES and not _runs(found.pop("pid", 0)):
        found |= {"phase": "failed", "error": "the restore was ended from outside, or the host restarted"}
    return found


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return b"ha-restore\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def ends() -> str | None:
    """When this host ends by itself; None: its set-up has not begun."""
    return ENDS.read_text(encoding="utf-8").strip() if ENDS.exists() else None

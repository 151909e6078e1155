"""pgBackRest's repository and the archive, as a database host sees them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ha_host import environment

HOME = Path("/srv/data/pgbackrest")
SIZES = Path("/etc/ha/postgresql.d/20-size.conf")
DATA = Path("/srv/data/postgresql/main")
CONFIGURATION = Path("/etc/pgbackrest/pgbackrest.conf")
METRICS = Path("/var/lib/prometheus/node-exporter")
STANZA = "ha"
# pgBackRest's codes of a stanza's status: an error of the repository, and a stanza that is not there or not complete.
UNREADABLE, NO_STANZA = 99, (1, 3)
_PRIMARY = (
    "select json_build_object('system_identifier', (select system_identifier::text from pg_control_system()),"
    " 'timeline', left(pg_walfile_name(pg_current_wal_lsn()), 8),"
    " 'segment_bytes', pg_size_bytes(current_setting('wal_segment_size')))"
    " where not pg_is_in_recovery() and not current_setting('default_transaction_read_only')::bool"
)
_ARCHIVER = (
    "select json_build_object('last_archived_wal', last_archived_wal, 'last_archived_time', last_archived_time,"
    " 'failed_count', failed_count, 'last_failed_time', last_failed_time) from pg_stat_archiver"
)


class Failed(Exception):
    """A program failed; the text says which one and what it printed."""


@dataclass(frozen=True)
class Primary:
    """A writable database: the identifier that its data has since it was made, its timeline, its segments' size."""

    system_identifier: str
    timeline: int
    segment_bytes: int


def as_postgres(*command: str, timeout_s: float = 10) -> str:
    """What a command prints when run as postgres. :raises Failed: when it fails or takes longer."""
    full = ["/usr/local/sbin/ha-postgres", *command]
    try:
        done = subprocess.run(full, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]}: no answer within {timeout_s:.0f} s") from None
    if done.returncode:
        raise Failed(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def sql(query: str) -> str:
    return as_postgres("psql", "-XqAtw", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", query).strip()


def pgbackrest(*arguments: str, timeout_s: float = 150) -> str:
    return as_postgres("pgbackrest", f"--stanza={STANZA}", *arguments, timeout_s=timeout_s)


def may_be_primary() -> bool:
    """By its files, without a connection: a standby is stopped for a rewind only when nobody is connected to it."""
    if (DATA / "standby.signal").exists():
        return False
    try:
        lines = (DATA / "postmaster.pid").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return False
    return "stopping" not in lines


def primary() -> Primary | None:
    """The database of this node, if it is the writable one; None also when it does not answer."""
    with suppress(Failed):
        if may_be_primary() and (found := sql(_PRIMARY)):
            known = json.loads(found)
            return Primary(known["system_identifier"], int(known["timeline"], 16), known["segment_bytes"])
    return None


def controldata() -> dict[str, str]:
    """What PostgreSQL's control file says, by its names; also while PostgreSQL does not run."""
    lines = (line.partition(":") for line in as_postgres("pg_controldata").splitlines())
    return {name: value.strip() for name, _, value in lines}


def parsed(printed: str) -> Any:
    """pgBackRest's JSON. Its messages of errors have bare line breaks."""
    return json.loads(printed, strict=False)


def stanza_info() -> dict[str, Any]:
    """What `pgbackrest info` says of the stanza. :raises Failed: when the repository cannot be read."""
    found = parsed(pgbackrest("--output=json", "info"))
    stanza: dict[str, Any] = next((one for one in found if one["name"] == STANZA), {"status": {"code": NO_STANZA[0]}})
    if stanza["status"]["code"] == UNREADABLE:
        said = [repo.get("status", {}).get("message", "") for repo in stanza.get("repo", [])]
        raise Failed(f"pgbackrest info: {' '.join(said)}")
    return stanza


def newest(backups: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """When the newest full backup and the newest of any kind began, in seconds since the epoch; 0: there is none."""
    return {
        kind: max((one["timestamp"]["start"] for one in backups if kind in ("any", one["type"])), default=0)
        for kind in ("full", "any")
    }


def begins_after(backups: Sequence[Mapping[str, Any]], segment: str) -> bool:
    """Whether a backup begins after a segment, and so does not need it. Names are in the order of the WAL."""
    return any(one["archive"]["start"] > segment for one in backups)


def due(
    backups: Sequence[Mapping[str, Any]],
    timeline: int,
    now: float,
    full_every_s: float,
    any_every_s: float,
    lost: str | None = None,
) -> str | None:
    """The kind of backup that is due; None: none is. `backups`: those of `pgbackrest info`. `lost`: see `lost_segment`.

    A new timeline gets one at once, so that a restore does not depend on the archive of a primary that was lost. After
    a hole nothing can be restored without one.
    """
    began = newest(backups)
    if now - began["full"] >= full_every_s:
        return "full"
    last = max(int(one["archive"]["start"][:8], 16) for one in backups)
    hole = lost is not None and not begins_after(backups, lost)
    return "incr" if now - began["any"] >= any_every_s or last < timeline or hole else None


def lost_segment(system_identifier: str) -> str | None:
    """The newest segment of a hole in the archive that no backup began after, as far as this node knows. The mark is
    an empty file of that name: no writer can change what another one is about to delete.
    """
    return max((path.name for path in _lost(system_identifier).glob("*")), default=None)


def note_lost(system_identifier: str, segment: str) -> None:
    folder = _lost(system_identifier)
    (folder / segment).touch()
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def forget_lost(system_identifier: str, backups: Sequence[Mapping[str, Any]]) -> None:
    """Remove the marks of the holes that a backup began after, whichever node made it."""
    for path in _lost(system_identifier).glob("*"):
        if begins_after(backups, path.name):
            path.unlink(missing_ok=True)


def _lost(system_identifier: str) -> Path:
    return HOME / system_identifier / "lost"


def passphrase_is_copied() -> bool:
    """Whether the passphrase was read in the region of the copy as well. It is written there if it is not yet."""
    known = environment()
    region = known["HA_BACKUP_COPY_REGION"]
    name = f"{known['HA_BACKUP_SECRETS_PATH']}/cipher-passphrase"
    if not region:
        return True
    command = ["/usr/local/sbin/ha-secret", "--wait=60", f"--copy={region}", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"the passphrase of the backups is not in {region}: {done.stderr.strip()}", file=sys.stderr, flush=True)
    return done.returncode == 0


def queue_bytes() -> int:
    """How much WAL may wait before pgbackrest-archive-push drops some: as much as the standby keeps as well."""
    found = re.search(r"^wal_keep_size = '(\d+)MB'$", SIZES.read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) << 20 if found else 0


def waiting() -> list[float]:
    """Since when each file waits to be archived, in seconds since the epoch."""
    since = []
    for path in (DATA / "pg_wal/archive_status").glob("*.ready"):
        with suppress(FileNotFoundError):  # archived at this moment
            since.append(path.stat().st_mtime)
    return since


def archiver() -> dict[str, Any]:
    """PostgreSQL's own word about the archive, and how many files wait. Nulls when it does not answer."""
    said = dict.fromkeys(("last_archived_wal", "last_archived_time", "failed_count", "last_failed_time"))
    with suppress(Failed):
        said = json.loads(sql(_ARCHIVER))
    return {**said, "ready": len(waiting())}


def switches(history: str) -> dict[int, int]:
    """From a timeline's history file: where each earlier timeline ended, as a position in the WAL in bytes."""
    found = {}
    for line in history.splitlines():
        if (words := line.partition("#")[0].split()) and len(words) >= 2:
            high, low = words[1].split("/")
            found[int(words[0])] = (int(high, 16) << 32) + int(low, 16)
    return found


def needed(backups: Iterable[Mapping[str, Any]], history: str, size: int) -> list[str]:
    """The segments that lead from the newest backup on an earlier timeline to the timeline of now, as its history file
    says. `size`: of a segment, in bytes. That in which a timeline ends is on the next one as well, and not in the list.
    """
    switched = switches(history)

    def position(segment: str) -> int:
        return int(segment[8:16], 16) * ((1 << 32) // size) + int(segment[16:], 16)

    # Not those of a primary that went on beside the timeline of now.
    starts = [one["archive"]["start"] for one in backups]
    first = max((s for s in starts if position(s) * size < switched.get(int(s[:8], 16), 0)), default=None)
    if first is None:
        return []
    names, begin = [], position(first)
    for timeline, end in sorted(switched.items()):
        if timeline >= int(first[:8], 16):
            for at in range(begin, end // size):
                log, segment = divmod(at, (1 << 32) // size)
                names.append(f"{timeline:08X}{log:08X}{segment:08X}")
            begin = end // size
    return names


def export(name: str, values: Mapping[str, float] | None) -> None:
    """Metrics for the node exporter, in a file of this name; None: this host has none, as the other one has them."""
    file = METRICS / f"{name}.prom"
    if values is None:
        file.unlink(missing_ok=True)
        return
    METRICS.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text("".join(f"{metric} {value}\n" for metric, value in values.items()), encoding="utf-8")
    new.chmod(0o644)
    new.replace(file)

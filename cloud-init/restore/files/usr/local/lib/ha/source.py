"""The repository of backups that a restore reads."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ha_host import environment
from restored import DATA, Failed, said

STANZA = "ha"
CONFIGURATION = Path("/etc/pgbackrest/pgbackrest.conf")
HOME = "/srv/data/pgbackrest"
UNREACHABLE = 4
# pgBackRest's codes of a stanza's status.
NO_STANZA, UNREADABLE = (1, 3), 99
# More than there are processors: each of a thousand small files waits for S3, and for the volume that it is synced to.
PROCESSES = 4
_CONFIGURATION = """\
[global]
repo1-type=s3
repo1-path=/pgbackrest/{system_identifier}
repo1-s3-bucket={bucket}
repo1-s3-endpoint=s3.{region}.amazonaws.com
repo1-s3-region={region}
repo1-s3-uri-style=host
# The role of the host. A line for a key, even an empty one, would be an error.
repo1-s3-key-type=auto
repo1-storage-ca-file=/etc/ssl/certs/ca-certificates.crt
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={passphrase}
process-max={processes}
# The recovery does not wait for one segment after the other.
archive-async=y
archive-get-queue-max=128MiB
spool-path={home}
lock-path={home}/lock
log-level-console=off
log-level-stderr=warn
log-level-file=off

[ha]
pg1-path={data}
"""


def pgbackrest(*arguments: str) -> list[str]:
    """The command, to be run as root."""
    return ["ha-postgres", "pgbackrest", f"--stanza={STANZA}", *arguments]


def configure(system_identifier: str) -> None:
    """Tell pgBackRest which database's repository it reads. :raises Failed: when the passphrase is not to be read."""
    host = environment()
    text = _CONFIGURATION.format(
        system_identifier=system_identifier,
        bucket=host["HA_BACKUP_BUCKET"],
        region=host["HA_REGION"],
        passphrase=said("ha-secret", "--existing", "--wait=60", _passphrase()),
        processes=PROCESSES,
        home=HOME,
        data=DATA,
    )
    place = ["ha-place", str(CONFIGURATION), "-D", "-o", "root", "-g", "postgres", "-m", "0640"]
    subprocess.run(place, input=text, text=True, check=True)


def _passphrase() -> str:
    return f"{environment()['HA_BACKUP_SECRETS_PATH']}/cipher-passphrase"


def backup(system_identifier: str, label: str | None) -> tuple[dict[str, Any], str]:
    """The backup of this label, the newest one for None, as `pgbackrest info` describes it; and the name of the newest
    segment in the archive, empty when there is none.

    :raises Failed: when the repository cannot be read, is another database's, or does not have it.
    """
    # Not strict: pgBackRest prints the lines of an error as they are, in a string.
    info = json.loads(said(*pgbackrest("--output=json", "info")), strict=False)
    stanza: dict[str, Any] = next(iter(info), {})
    code = stanza.get("status", {}).get("code", NO_STANZA[0])
    if code == UNREADABLE:
        raise Failed(_unreadable(stanza))
    if code in NO_STANZA:
        raise Failed(f"the bucket holds no backups of the database {system_identifier}", UNREACHABLE)
    others = sorted({str(one["system-id"]) for one in stanza["db"]} - {system_identifier})
    if others:
        raise Failed(f"the repository is of another database: {others[0]} instead of {system_identifier}")
    backups = stanza["backup"]
    if not backups:
        raise Failed(f"there is no finished backup of the database {system_identifier}", UNREACHABLE)
    chosen = next((one for one in reversed(backups) if label in (None, one["label"])), None)
    if chosen is None:
        raise Failed(f"there is no backup {label}: there are {', '.join(one['label'] for one in backups)}", UNREACHABLE)
    return chosen, max((one["max"] or "" for one in stanza["archive"]), default="")


def _unreadable(stanza: dict[str, Any]) -> str:
    text = " ".join(one["status"]["message"] for one in stanza["repo"])
    # With a wrong passphrase it is chance at which layer it fails.
    if re.match(r"\[(Crypto|Format|JsonFormat|Checksum)Error\] unable to load info file", text):
        return f"the passphrase in {_passphrase()} is not that of the repository, or its index is damaged"
    return f"the repository cannot be read: {text.splitlines()[0]}"

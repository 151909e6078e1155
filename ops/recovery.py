"""Backups of a running estate: make one now, say what there is, let a host check all of it.

The repository is asked through a database host, which has its passphrase; an operator needs no access to the bucket.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ops import host_job
from ops.backups import (
    NOT_LISTED,
    Backups,
    Bytes,
    Kind,
    Repository,
    Running,
    Stanza,
    evaluate,
    holes_of,
    progress_in_words,
    running_of,
)
from ops.estate import CommandFailed, CommandResult, Estate, Instance
from ops.host_job import StillRuns, last_line
from ops.labels import Label
from ops.lease import Lease
from ops.postgres import ADMIN_DATABASE, psql_command
from ops.proof import Proof, read_all
from ops.runs import clean, printable
from ops.status import Observation, database_of, observe
from ops.wal import Hole
from spec.errors import HaError
from spec.settings import BackupSettings
from spec.tiers import Tier

STANZA: Final = "ha"
BACKUP_JOB: Final = "ha-asked-backup"
VERIFY_JOB: Final = "ha-asked-verify"
_ARCHIVE_S: Final = 90
_ASK_S: Final = 120
"""pgBackRest lists the repository, and retries when S3 is slow."""
PROGRESS_S: Final = 15.0
"""Between two looks at how far a backup is: each reads the list of backups in the bucket."""
NOT_PRIMARY: Final = 3
"""`ha-backup`'s exit code on a host that is not the writable primary."""
_DAMAGED = re.compile(r"(?:invalid checksum|invalid size|invalid result) '|status: (?:invalid|manifest missing)")
_ERROR = re.compile(r"ERROR: \[\d+\]")
_COUNTS = re.compile(r"(?:total WAL checked|total files checked): (\d{1,12}),")

Say = Callable[[str], None]


class UnderWay(HaError):
    """Another backup runs."""


class Made(BaseModel):
    """The document of `ha db backup --json`: `bytes` has the database, `repository_bytes` were added."""

    model_config = ConfigDict(extra="ignore")

    stack: str
    target: Literal["aws", "lab"]
    host: str
    label: Label
    type: Kind
    bytes: Bytes
    repository_bytes: Bytes
    took_s: float = Field(ge=0, allow_inf_nan=False)


class Verified(BaseModel):
    """The document of `ha db verify --json`. `files` were read; `damaged` is in pgBackRest's words."""

    stack: str
    target: Literal["aws", "lab"]
    host: str
    good: bool
    files: int
    damaged: list[str]
    holes: list[Hole]
    took_s: float


def described(estate: Estate, settings: BackupSettings, artifact_bucket: str, say: Say) -> Backups:
    """What there is. Without a primary, another database host describes it.

    :param artifact_bucket: where the proofs are. When they cannot be read, that is one of the problems.
    :raises HaError: when no database host answers, or what it answers is damaged.
    """
    say("asking the database hosts")
    seen = observe(estate, [Tier.DB])
    primary = _primary(seen)
    on = primary or next((one for one in seen if one.report is not None), None)
    if on is None:
        raise HaError(
            "no database host answers, and the repository is asked through them",
            where=f"{estate.stack} on {estate.target}",
            fix="`ha status` shows what is wrong",
        )
    say(f"{on.instance.host} lists the repository")
    described = _described(estate, on.instance)
    proofs, unread = _proofs(estate, artifact_bucket)
    found = evaluate(
        described,
        settings,
        datetime.now(UTC),
        proofs,
        stack=estate.stack,
        target=estate.target,
        host=on.instance.host,
        primary=on is primary,
    )
    return found.model_copy(update={"problems": [*found.problems, *unread]})


def _proofs(estate: Estate, bucket: str) -> tuple[list[Proof] | None, list[str]]:
    """The proofs, newest first, or else what is wrong."""
    try:
        return read_all(estate.client("s3"), bucket), []
    except HaError as failed:
        return None, [f"which backups were proven by a restore is not known: {failed.what} ({failed.where})"]


def archive_now(estate: Estate, say: Say) -> bool:
    """Let the primary archive all that is committed. False: there is no primary, or its archive does not answer."""
    on = _primary(observe(estate, [Tier.DB]))
    if on is None:
        return False
    say(f"{on.instance.host} archives what is committed")
    try:
        done = estate.run(on.instance.instance_id, "ha-archive-now", timeout_s=_ARCHIVE_S)
    except CommandFailed as failed:
        say(f"{on.instance.host}: {failed.what}")
        return False
    if done.exit_code != 0:
        say(f"{on.instance.host}: {last_line(done)}")
    return done.exit_code == 0


def transaction_time(estate: Estate, xid: str) -> datetime | None:
    """A time just before a transaction began, by the rows that the estate writes each minute; None: not known."""
    on = _primary(observe(estate, [Tier.DB]))
    if on is None:
        return None
    query = f"select max(at) from ha.canary where xid < '{int(xid)}'::xid8"  # noqa: S608 - a number
    done = estate.run(on.instance.instance_id, psql_command(ADMIN_DATABASE, query))
    try:
        return datetime.fromisoformat(done.stdout.strip())
    except ValueError:
        return None


def backup(estate: Estate, lease: Lease, say: Say, *, full: bool) -> Made:
    """Make a backup now, as the one operation on the estate: a change would hand over, and so end it.

    :raises UnderWay: while another one runs.
    :raises HaError: when it is refused, and nothing was done, or when it failed.
    """
    with lease:
        say("asking the database hosts")
        on = the_primary(estate)
        running = _running(estate, on)
        if running is not None:
            raise _under_way(on, running)
        try:
            host_job.start(estate, on, BACKUP_JOB, f"ha-backup {'full' if full else 'incr'}")
        except StillRuns:
            raise _under_way(on, None) from None
        say(f"{on.host} makes {'a full' if full else 'an incremental'} backup")
        try:
            done = host_job.wait(estate, on, BACKUP_JOB, _Progress(estate, on, say))
        except KeyboardInterrupt:
            say(f"the backup goes on on {on.host}; `ha db backups` shows it when it is done")
            raise
        if done.exit_code == NOT_PRIMARY:
            raise _failed(on, done, "no backup was made", "`ha status` shows who is primary now; run the command again")
        if done.exit_code != 0:
            raise _failed(on, done, "the backup failed", "`ha db backups` shows what there is")
        return _made(estate, on, done)


def verify(estate: Estate, say: Say) -> Verified:
    """Let the primary read every file of the repository and compare checksums, and look for holes in the archive.

    :raises HaError: when it could not be done. What is damaged is in the result.
    """
    say("asking the database hosts")
    on = the_primary(estate)
    began = time.monotonic()
    try:
        host_job.start(estate, on, VERIFY_JOB, "ha-backup-verify")
    except StillRuns:
        say("a check is under way already: waiting for its result")
    say(f"{on.host} reads the whole repository")
    done = host_job.wait(estate, on, VERIFY_JOB, lambda: None)
    said = [" ".join(printable(line).split()) for line in f"{done.stdout}\n{done.stderr}".splitlines()]
    damaged = list(dict.fromkeys(line for line in said if _DAMAGED.search(line)))
    if "status: error" in said and not damaged:
        damaged = [line for line in said if line]
    if done.exit_code != 0 and not damaged:
        raise _failed(on, done, "the repository could not be checked", "`ha db backups` shows whether it is reachable")
    holes = holes_of(_described(estate, on))
    if holes is None:
        damaged.append(NOT_LISTED)
    return Verified(
        stack=estate.stack,
        target=estate.target,
        host=on.host,
        good=not damaged and not holes,
        files=sum(int(count) for line in said for count in _COUNTS.findall(line)),
        damaged=damaged,
        holes=holes or [],
        took_s=round(time.monotonic() - began, 1),
    )


class _Progress:
    """Says how far a backup is, now and then and when it has changed."""

    def __init__(self, estate: Estate, on: Instance, say: Say) -> None:
        self._estate, self._on, self._say = estate, on, say
        self._next = time.monotonic() + PROGRESS_S
        self._said = ""

    def __call__(self) -> None:
        if time.monotonic() < self._next:
            return
        try:
            running = _running(self._estate, self._on)
        except HaError:  # the backup's own end says what is wrong
            running = None
        if running is not None and running.bytes and (text := progress_in_words(running)) != self._said:
            self._said = text
            self._say(f"{self._on.host}: {text}")
        self._next = time.monotonic() + PROGRESS_S


def _described(estate: Estate, on: Instance) -> Repository:
    return Repository.parse(_asked(estate, on, "ha-backups"), where=on.host)


def _running(estate: Estate, on: Instance) -> Running | None:
    """The backup that runs on a host. `ha-backups` would list the archive too, which takes seconds."""
    said = _asked(estate, on, f"ha-postgres pgbackrest --stanza={STANZA} --output=json info")
    return running_of(Stanza.parse(said, where=on.host))


def _asked(estate: Estate, on: Instance, command: str) -> bytes:
    try:
        return host_job.read(estate, on, command, timeout_s=_ASK_S)
    except CommandFailed:
        raise
    except HaError as failed:
        raise HaError(
            f"the repository cannot be asked: {failed.what}",
            where=on.host,
            fix="run `ha-backups` on that host; `ha status` shows whether it is well",
        ) from None


def _primary(seen: Sequence[Observation]) -> Observation | None:
    name = database_of(seen).primary
    return next((one for one in seen if one.instance.host == name), None)


def the_primary(estate: Estate) -> Instance:
    """:raises HaError: when there is none."""
    found = _primary(observe(estate, [Tier.DB]))
    if found is None:
        raise HaError(
            "there is no primary",
            where=f"{estate.stack} on {estate.target}",
            fix="`ha status` shows what is wrong; `ha db backups` works without one",
        )
    return found.instance


def _under_way(on: Instance, running: Running | None) -> UnderWay:
    far = f" ({progress_in_words(running)})" if running else ""
    return UnderWay(
        f"a backup is under way already{far}: the schedule began it, or an operator who did not wait for its end",
        where=on.host,
        fix="`ha db backups` shows it when it is done",
    )


def _failed(on: Instance, done: CommandResult, what: str, fix: str) -> HaError:
    said = [line.strip() for line in printable(done.stderr).splitlines()]
    errors = [line for line in said if _ERROR.search(line)]  # pgBackRest says more after it
    why = errors[-1][-400:] if errors else last_line(done) or f"it ended with exit code {done.exit_code}"
    return HaError(f"{what}: {why}", where=on.host, fix=fix)


def _made(estate: Estate, on: Instance, done: CommandResult) -> Made:
    known = {"stack": estate.stack, "target": estate.target, "host": on.host}
    try:
        return Made.model_validate({**clean(json.loads(done.stdout.strip().splitlines()[-1])), **known})
    except (ValueError, LookupError, TypeError, RecursionError):  # pydantic's errors are ValueErrors
        raise HaError(
            "the backup ended well, but its host did not say which one it is",
            where=on.host,
            fix="`ha db backups` shows it",
        ) from None

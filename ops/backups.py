"""The repository of backups, as a database host describes it: what there is, from when to when one can go back. Pure.

The host's `ha-backups` prints one document. Times are in ISO 8601 with a zone, or seconds since 1970:

    {"info": what `pgbackrest --stanza=ha info --output=json` prints (2.55; src/command/info/info.c),
     "system_identifier": of the running database,
     "archiver": {"last_archived_wal", "last_archived_time", "failed_count", "last_failed_time", "ready"},
     "wal": {"segment_bytes": 1048576, "runs": [{"first": NAME, "last": NAME, "archived": TIME}, ...]}}

`archiver` is pg_stat_archiver's row, and the number of segments that wait for the archive; a standby's says nothing.
`wal`: the segments in the archive as runs without a gap, each with the upload of its last one (wal_runs.py on the
host); null, or not there, when the archive cannot be listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as Invalid

from ops.labels import Label
from ops.proof import Proof
from ops.runs import clean, printable
from ops.wal import Archive, Hole, Run, SegmentName
from spec.errors import HaError
from spec.settings import BackupSettings

_NOTHING_YET: Final = (1, 2, 3)
"""The codes of a stanza without a path, without a backup, and without its data."""
_PAGE_ERRORS: Final = "pages of the database had wrong checksums when it was made"
NOT_LISTED: Final = "the archive could not be listed: whether WAL is missing is not known"
STANDS_STILL_S: Final = 300
"""So long WAL may wait for the archive."""
PROVEN_WITHIN: Final = timedelta(days=8)
"""A proof a week is planned, and may be late by a day."""
_LATE: Final = timedelta(hours=1)
"""How much later than planned a backup may end: the timer's own delay, and how long it takes."""

Bytes = Annotated[int, Field(ge=0)]
Kind = Literal["full", "diff", "incr"]
SystemIdentifier = Annotated[str, Field(coerce_numbers_to_str=True, pattern=r"^\d{1,20}$")]
"""pgBackRest prints it as a number, PostgreSQL as a text."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @classmethod
    def parse(cls, text: str | bytes, *, where: str) -> Self:
        """:raises HaError: when the text is no such document; `where` is the host that printed it."""
        try:
            return cls.model_validate(clean(json.loads(text)))
        except Invalid as invalid:
            first = invalid.errors(include_url=False, include_input=False)[0]
            fault = ": ".join([".".join(map(str, first["loc"])) or "the document", first["msg"]])
        except (ValueError, RecursionError):  # a host's output is data: of any form, nested and long
            fault = "this is no JSON"
        raise HaError(
            f"the description of the backups is damaged: {fault}",
            where=where,
            fix="run `ha-backups` on that host to see it; an older bundle on the host describes them otherwise",
        )


class Backup(_Said):
    """One backup. An incremental one needs its `prior`, and through it all before it up to a full one.

    One can go back to any time after `stopped`. `wal_first` to `wal_last`: the segments that it needs in any case.
    `database_bytes`: the database then; `copied_bytes`: what was copied of it; `repository_bytes`: what it takes in the
    repository together with what it needs (not known with block incrementals); `added_bytes`: what it added there.
    `page_errors`: pages of the database had wrong checksums; null: they were not checked.
    """

    label: Label
    type: Kind
    prior: Label | None
    database: int = Field(validation_alias=AliasPath("database", "id"))
    started: AwareDatetime = Field(validation_alias=AliasPath("timestamp", "start"))
    stopped: AwareDatetime = Field(validation_alias=AliasPath("timestamp", "stop"))
    wal_first: SegmentName | None = Field(validation_alias=AliasPath("archive", "start"))
    wal_last: SegmentName | None = Field(validation_alias=AliasPath("archive", "stop"))
    lsn_stop: str | None = Field(None, validation_alias=AliasPath("lsn", "stop"))
    database_bytes: Bytes = Field(validation_alias=AliasPath("info", "size"))
    copied_bytes: Bytes = Field(validation_alias=AliasPath("info", "delta"))
    repository_bytes: Bytes | None = Field(None, validation_alias=AliasPath("info", "repository", "size"))
    added_bytes: Bytes = Field(validation_alias=AliasPath("info", "repository", "delta"))
    page_errors: bool | None = Field(None, validation_alias="error")


class Database(_Said):
    """A database that the stanza knows; `id` counts them."""

    id: int
    system_id: SystemIdentifier = Field(validation_alias="system-id")
    version: str


class RepositoryState(_Said):
    code: int = Field(validation_alias=AliasPath("status", "code"))
    message: str = Field(validation_alias=AliasPath("status", "message"))


class Stanza(_Said):
    """pgBackRest's description. `held`: a backup runs on this host, or expired ones are being deleted."""

    code: int = Field(validation_alias=AliasPath("status", "code"))
    message: str = Field(validation_alias=AliasPath("status", "message"))
    held: bool = Field(validation_alias=AliasPath("status", "lock", "backup", "held"))
    held_bytes: Bytes | None = Field(None, validation_alias=AliasPath("status", "lock", "backup", "size"))
    held_done_bytes: Bytes | None = Field(None, validation_alias=AliasPath("status", "lock", "backup", "size-cplt"))
    repositories: list[RepositoryState] = Field(validation_alias="repo")
    databases: list[Database] = Field(validation_alias="db")
    backups: list[Backup] = Field(validation_alias="backup")

    @model_validator(mode="before")
    @classmethod
    def _the_only_one(cls, said: object) -> object:
        """pgBackRest prints a list, of the stanzas that were asked for."""
        return said[0] if isinstance(said, list) and said else said


class Archiver(_Said):
    """PostgreSQL's own account of the archive; empty until the first segment after a start or a promotion."""

    last_archived: AwareDatetime | None = Field(None, validation_alias="last_archived_time")
    last_failed: AwareDatetime | None = Field(None, validation_alias="last_failed_time")
    waiting: Bytes = Field(validation_alias="ready")


class ArchivedWal(_Said):
    segment_bytes: Annotated[int, Field(ge=2**20, le=2**30)]
    runs: list[Run]


class Repository(_Said):
    """The document of `ha-backups`."""

    stanza: Stanza = Field(validation_alias="info")
    system_identifier: SystemIdentifier
    archiver: Archiver
    wal: ArchivedWal | None = None

    @cached_property
    def archive(self) -> Archive | None:
        return None if self.wal is None else Archive.of(self.wal.runs, self.wal.segment_bytes)


class Listed(Backup):
    """`kept_until`: when it expires; null while no later full backup is there. `fault`: why it cannot be restored.

    `proven`: when it was last restored and found good.
    """

    kept_until: AwareDatetime | None
    fault: str
    proven: AwareDatetime | None


class Range(BaseModel):
    """One can go back to any second from `since` to `until`, which is when `last_wal` was archived."""

    since: datetime
    until: datetime | None
    last_wal: str | None


class Running(BaseModel):
    """A backup that runs now; null while its size is not known yet."""

    done_bytes: int | None
    bytes: int | None


class Backups(BaseModel):
    """The document of `ha db backups --json`. `host` described it; `holes` null: the archive could not be listed, and
    `segment_bytes`, the size of a segment of WAL, is not known.

    `proof`: the newest good one.
    """

    stack: str
    target: Literal["aws", "lab"]
    host: str
    system_identifier: SystemIdentifier
    backups: list[Listed]
    ranges: list[Range]
    holes: list[Hole] | None
    segment_bytes: int | None
    running: Running | None
    archived: datetime | None
    waiting_segments: int
    proof: Proof | None
    problems: list[str]


def evaluate(
    repository: Repository,
    settings: BackupSettings,
    now: datetime,
    proofs: Sequence[Proof] | None = (),
    *,
    stack: str,
    target: Literal["aws", "lab"],
    host: str,
    primary: bool,
) -> Backups:
    """What there is and what is wrong with it.

    :param proofs: newest first; None: they are not known.
    :param primary: whether the host that described it is the primary, which alone archives.
    """
    stanza, archiver, archive = repository.stanza, repository.archiver, repository.archive
    good = [one for one in proofs or () if one.good]
    listed = _listed(stanza, archive, settings.retention_days, good)
    whole = [one for one in listed if not one.fault]
    holes = holes_of(repository)
    problems = [
        *_unusable(repository),
        *([] if stanza.code else _missing(listed, whole, settings, now)),
        *(f"backup {one.label}: {one.fault}" for one in listed if one.fault),
        *(f"backup {one.label}: {_PAGE_ERRORS}" for one in listed if one.page_errors),
        *(in_words(hole) for hole in holes or ()),
        *([NOT_LISTED] if archive is None and not stanza.code else ()),
        *(_standing_still(archiver, now) if primary else ()),
        *([] if proofs is None else _unproven(listed, proofs, good, now)),
    ]
    return Backups(
        stack=stack,
        target=target,
        host=host,
        system_identifier=repository.system_identifier,
        backups=listed,
        ranges=_ranges(whole, archive, archiver),
        holes=holes,
        segment_bytes=repository.wal.segment_bytes if repository.wal else None,
        running=running_of(stanza),
        archived=archiver.last_archived if primary else None,
        waiting_segments=archiver.waiting if primary else 0,
        proof=good[0] if good else None,
        problems=problems,
    )


def kept_until(backups: Sequence[Backup], retention_days: int) -> dict[str, datetime]:
    """When pgBackRest deletes each backup (`repo1-retention-full-type=time`), by label.

    A full backup goes, with all that need it, once the next full one is older than the retention: until then it is the
    way back to the oldest days. Those of the newest full one are not in the result.
    """
    fulls = sorted((one for one in backups if one.type == "full"), key=lambda one: one.label)
    ends: dict[str, datetime] = {}
    for one in backups:
        following = next((full for full in fulls if full.label > _full_of(one)), None)
        if following:
            ends[one.label] = following.stopped + timedelta(days=retention_days)
    return ends


def holes_of(repository: Repository) -> list[Hole] | None:
    """What is missing after the oldest backup: WAL before it is of no use. None: the archive could not be listed."""
    if repository.archive is None:
        return None
    oldest = min((one.wal_first for one in repository.stanza.backups if one.wal_first), default=None)
    return repository.archive.holes(oldest) if oldest else []


def running_of(stanza: Stanza) -> Running | None:
    return Running(done_bytes=stanza.held_done_bytes, bytes=stanza.held_bytes) if stanza.held else None


def progress_in_words(running: Running) -> str:
    if not running.bytes:
        return "its size is not known yet"
    return f"{(running.done_bytes or 0) / running.bytes:.0%} of {size(running.bytes)}"


def size(count: int) -> str:
    """A number of bytes for a person, in binary units."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    scaled = count / 2 ** (10 * power)
    return f"{scaled:.0f} {units[power]}" if power == 0 or scaled >= 100 else f"{scaled:.1f} {units[power]}"


def in_words(hole: Hole) -> str:
    count = "1 segment is" if hole.segments == 1 else f"{hole.segments} segments are"
    return f"a hole in the archive: {count} missing after {hole.after}, before {hole.before}"


def clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _full_of(backup: Backup) -> str:
    """The label of the full backup that it needs, or its own."""
    return backup.label.partition("_")[0]


def _listed(stanza: Stanza, archive: Archive | None, retention_days: int, good: Sequence[Proof]) -> list[Listed]:
    current = stanza.databases[-1].id if stanza.databases else None
    ends = kept_until(stanza.backups, retention_days)
    proven = {one.backup: one.at for one in reversed(good)}
    known = {one.label: one for one in stanza.backups}
    return [
        Listed.model_validate(
            {
                **dict(one),
                "kept_until": ends.get(one.label),
                "fault": _fault(one, known, current, archive),
                "proven": proven.get(one.label),
            }
        )
        for one in stanza.backups
    ]


def _fault(one: Backup, known: Mapping[str, Backup], current: int | None, archive: Archive | None) -> str:
    """Why a backup cannot be restored and replayed; empty when it can. Of those that it needs it needs the files only:
    their WAL may be missing, or of a timeline that a failover left.
    """
    if one.database != current:
        return "it is of another database"
    prior = one.prior
    while prior is not None:
        if prior not in known:
            return f"it needs {prior}: it is missing"
        prior = known[prior].prior
    if one.wal_first is None or one.wal_last is None:
        return "it names no WAL: it was made from a stopped database"
    if archive is not None and archive.stretch(one.wal_first, one.wal_last) is None:
        return f"no WAL leads on from it: {one.wal_first} to {one.wal_last} is missing, or of a timeline that was left"
    return ""


def _ranges(whole: Sequence[Listed], archive: Archive | None, archiver: Archiver) -> list[Range]:
    if archive is None:
        since = min((one.stopped for one in whole), default=None)
        return [Range(since=since, until=archiver.last_archived, last_wal=None)] if since else []
    found: dict[str, Range] = {}
    for one in sorted(whole, key=lambda one: one.stopped):
        stretch = archive.stretch(one.wal_first or "", one.wal_last or "")
        if stretch and stretch.last not in found:
            found[stretch.last] = Range(since=one.stopped, until=stretch.archived, last_wal=stretch.last)
    return list(found.values())


def _unusable(repository: Repository) -> list[str]:
    stanza = repository.stanza
    if stanza.code in _NOTHING_YET:
        return ["there is no backup yet: `ha db backup` makes one"]
    if stanza.code:
        said = [one.message for one in stanza.repositories if one.code] or [stanza.message]
        return [f"the repository cannot be read: {'; '.join(said)}"]
    held = stanza.databases[-1].system_id if stanza.databases else "none"
    if held != repository.system_identifier:
        running = repository.system_identifier
        return [f"the backups are of another database: its system identifier is {held}, the running one's {running}"]
    return []


def _missing(listed: Sequence[Listed], whole: Sequence[Listed], settings: BackupSettings, now: datetime) -> list[str]:
    """What is too old. A backup with a fault counts: the schedule does not make another one for it."""
    problems = [] if whole else ["no backup can be restored"]
    plans = (
        ("full backup", [one for one in listed if one.type == "full"], timedelta(days=settings.full_every_days)),
        ("backup", listed, timedelta(hours=settings.incremental_every_hours)),
    )
    for name, those, interval in plans:
        newest = max((one.stopped for one in those), default=None)
        if newest is not None and now - newest > interval + _LATE:
            hours = interval // timedelta(hours=1)
            problems.append(f"the newest {name} is of {clock(newest)}, but one is planned every {hours} h")
    return problems


def _unproven(listed: Sequence[Listed], proofs: Sequence[Proof], good: Sequence[Proof], now: datetime) -> list[str]:
    failed = proofs and not proofs[0].good
    problems = [f"the newest proof failed: {' '.join(printable(proofs[0].why).split())}"] if failed else []
    # With the first backup the first week begins.
    begin = min((one.started for one in listed), default=now)
    if max([begin, *(one.at for one in good)]) < now - PROVEN_WITHIN:
        problems.append(f"no backup was proven by a restore in the last {PROVEN_WITHIN.days} days")
    return problems


def _standing_still(archiver: Archiver, now: datetime) -> list[str]:
    if not archiver.waiting:
        return []
    waits = f"{archiver.waiting} segments wait" if archiver.waiting > 1 else "1 segment waits"
    failed = f"; the last attempt failed at {clock(archiver.last_failed)}" if archiver.last_failed else ""
    if archiver.last_archived is None:
        return [f"the archive stands still: nothing was archived since this host became primary, {waits}{failed}"]
    if (now - archiver.last_archived).total_seconds() <= STANDS_STILL_S:
        return []
    return [f"the archive stands still since {clock(archiver.last_archived)}: {waits}{failed}"]

"""A restore beside the running database: on a host of its own, out of the launch template that the program made. It can
look and copy rows out; it harms nothing, and ends by itself after a day.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ops import restore_host
from ops.backups import Backups, Bytes, Listed, SystemIdentifier, size
from ops.estate import CommandResult, Estate, Instance
from ops.host_job import last_line
from ops.labels import Label
from ops.lease import Lease
from ops.recovery import archive_now, described, transaction_time
from ops.restore_host import Say
from ops.runs import clean
from ops.target import Target, before, choose
from spec.errors import HaError
from spec.scope import Scope
from spec.settings import BackupSettings

JOB: Final = "ha-asked-restore"
CHECK_JOB: Final = "ha-asked-check"
_UNREACHABLE: Final = 4
_NO_ROOM: Final = 5
_DAMAGED: Final = ("ChecksumError", "invalid checksum", "is damaged")


class RestoreFailed(HaError):
    """A host tried, and could not restore from `backup`."""

    def __init__(self, what: str, *, backup: str, where: str, fix: str) -> None:
        super().__init__(what, where=where, fix=fix)
        self.backup = backup


class Restored(BaseModel):
    """The document of `ha db restore --json`.

    `recovered_until`: when the last transaction that is there was committed. `canary`: the newest row of the table into
    which the estate writes one each minute. `skipped`: backups that were damaged. `ends`: when the host ends by itself.
    """

    model_config = ConfigDict(extra="ignore")

    stack: str
    target: Literal["aws", "lab"]
    host: str
    instance_id: str
    to: str
    backup: Label
    skipped: list[str] = []
    system_identifier: SystemIdentifier
    bytes: Bytes
    fetched_s: float = Field(ge=0, allow_inf_nan=False)
    recovered_s: float = Field(ge=0, allow_inf_nan=False)
    took_s: float = Field(ge=0, allow_inf_nan=False)
    recovered_until: AwareDatetime | None
    lsn: str
    timeline: int
    canary: AwareDatetime | None
    ends: AwareDatetime | None


class Checked(BaseModel):
    """What a restored database said when all of it was read."""

    model_config = ConfigDict(extra="ignore")

    good: bool
    errors: list[str]
    relations: int
    took_s: float = Field(ge=0, allow_inf_nan=False)
    canary: AwareDatetime | None = None


def restore(
    estate: Estate,
    scope: Scope,
    settings: BackupSettings,
    lease: Lease,
    target: Target,
    say: Say,
    *,
    named: str | None = None,
    fresh: bool = True,
) -> Restored:
    """Restore beside the running database. The lease is held until the host is launched: nothing more is touched.

    :param fresh: let the primary archive first what the target needs and the archive lacks.

    :raises HaError: when it is not possible, with what is, or when it failed; the host is ended then.
    """
    began = time.monotonic()
    with lease:
        restore_host.refuse_second(estate)
        target, found, chosen = plan(estate, scope, settings, target, say, named=named, fresh=fresh)
        say(f"beginning with the backup {chosen.label}, {size(chosen.database_bytes)}")
        host = restore_host.launch(estate, scope, say)
    try:
        restore_host.await_ready(estate, host, say)
        answer, used, skipped = _restored(estate, host, found, chosen, target, say)
    except BaseException:
        say(f"{host.host} is ended")
        restore_host.end(estate, host)
        raise
    return Restored.model_validate(
        {
            **answer,
            "stack": estate.stack,
            "target": estate.target,
            "host": host.host,
            "instance_id": host.instance_id,
            "to": str(target),
            "backup": used.label,
            "skipped": skipped,
            "took_s": round(time.monotonic() - began, 1),
            "ends": restore_host.ends(estate, host),
        }
    )


def plan(
    estate: Estate,
    scope: Scope,
    settings: BackupSettings,
    target: Target,
    say: Say,
    *,
    named: str | None = None,
    fresh: bool = True,
) -> tuple[Target, Backups, Listed]:
    """The target with its time, what there is, and the backup to begin with. What is not archived yet, is."""
    if target.kind == "xid":
        target = Target("xid", target.value, transaction_time(estate, str(target.value)))
    found = described(estate, settings, scope.artifact_bucket, say)
    if fresh and _needs_more(found, target) and archive_now(estate, say):
        found = described(estate, settings, scope.artifact_bucket, say)
    return target, found, choose(found, target, named=named)


def _needs_more(found: Backups, target: Target) -> bool:
    """Whether the target may be after what is archived."""
    if target.at is None:
        return True
    until = found.ranges[-1].until if found.ranges else None
    return until is None or target.at >= until


def _restored(
    estate: Estate, host: Instance, found: Backups, chosen: Listed, target: Target, say: Say
) -> tuple[dict[str, Any], Listed, list[str]]:
    """The host's answer, the backup that was used, and those that were damaged."""
    skipped: list[str] = []
    while True:
        done = _run(estate, host, found, chosen, target, say)
        if done.exit_code == 0:
            return _answer(done, host), chosen, skipped
        why = last_line(done)
        earlier = before(found, chosen, target)
        if done.exit_code == 1 and earlier and any(sign in done.stderr for sign in _DAMAGED):
            skipped.append(f"{chosen.label}: {why}")
            say(f"the backup {chosen.label} is damaged ({why}): taking the one before, {earlier.label}")
            chosen = earlier
            continue
        fix = {
            _UNREACHABLE: "`ha db backups` shows from when to when one can go back",
            _NO_ROOM: "raise database.volume_gib: `pulumi up` grows the volumes, and the restore's with them",
        }.get(done.exit_code, "`ha db backups` shows what there is; `ha db verify` reads all of it")
        raise RestoreFailed(f"the restore failed: {why}", backup=chosen.label, where=host.host, fix=fix)


def _run(estate: Estate, host: Instance, found: Backups, chosen: Listed, target: Target, say: Say) -> CommandResult:
    asked = {
        "system_identifier": found.system_identifier,
        "backup": chosen.label,
        "target": {"type": target.kind, "value": target.value, "exclusive": target.exclusive},
        "timeline": None,
    }
    return restore_host.run_job(estate, host, JOB, f"ha-restore '{json.dumps(asked)}'", say)


def _answer(done: CommandResult, host: Instance) -> dict[str, Any]:
    try:
        answer = clean(json.loads(done.stdout.strip().splitlines()[-1]))
        if isinstance(answer, dict):
            return answer
    except (ValueError, LookupError, RecursionError):
        pass
    raise HaError("the restore ended well, but its host's answer is damaged", where=host.host, fix="run it again")


def check(estate: Estate, host: Instance, say: Say) -> Checked:
    """Let the host of a restore read all of its database. :raises HaError: when it could not be done."""
    done = restore_host.run_job(estate, host, CHECK_JOB, "ha-restored-check", say)
    try:
        return Checked.model_validate(_answer(done, host))
    except (HaError, ValidationError):
        raise HaError(
            f"the restored database could not be checked: {last_line(done)}", where=host.host, fix="run it again"
        ) from None

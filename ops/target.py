"""The point to which a restore goes back, as an operator writes it, and the backup to begin with. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ops.backups import Backups, Listed, clock
from spec.errors import EXIT_USAGE, HaError

NEWEST: Final = "newest"
_LSN = re.compile(r"lsn:([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})")
_TRANSACTION = re.compile(r"before-transaction:(\d{1,20})")
_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d?:\d\d(?::\d\d(?:\.\d{1,6})?)?)"
    r" ?(?P<zone>[+-]\d\d(?::?\d\d)?|[A-Za-z_/+-]+)?"
)
FORMS: Final = (
    '"2026-12-01 14:05 UTC", "2026-12-01 14:05:09.25 Europe/Berlin", "2026-12-01T14:05+01:00", lsn:0/3000148, '
    "before-transaction:7421, or newest"
)


@dataclass(frozen=True)
class Target:
    """`at`: for a time that time; for a transaction a time at which it had not begun, once it is known."""

    kind: Literal["time", "lsn", "xid", "newest"]
    value: str | None = None
    at: datetime | None = None

    @property
    def exclusive(self) -> bool:
        """Whether the target itself is left out."""
        return self.kind == "xid"

    def __str__(self) -> str:
        match self.kind:
            case "time":
                assert self.at is not None
                return f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".") + " UTC"
            case "lsn":
                return f"the WAL position {self.value}"
            case "xid":
                return f"just before the transaction {self.value}"
            case _:
                return "the newest that is archived"


def parse(text: str, *, now: datetime) -> Target:
    """:raises HaError: (exit 2) when it is no target, has no time zone, or is in the future."""
    text = text.strip()
    if text == NEWEST:
        return Target("newest")
    if found := _LSN.fullmatch(text):
        return Target("lsn", found[1].upper())
    if found := _TRANSACTION.fullmatch(text):
        return Target("xid", found[1])
    at = _time(text)
    if at > now:
        raise _usage(text, f"is in the future: it is {clock(now)}")
    return Target("time", at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00"), at)


def _time(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if found is None:
        raise _usage(text, "is no point in time")
    clock_text = found["time"] if found["time"][1] != ":" else f"0{found['time']}"
    try:
        naive = datetime.fromisoformat(f"{found['date']}T{_padded(clock_text)}")
    except ValueError as error:
        raise _usage(text, f"is no point in time: {error}") from None
    if not found["zone"]:
        raise _usage(text, "names no time zone")
    zone = _zone(found["zone"], text)
    at = naive.replace(tzinfo=zone)
    if at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise _usage(text, "does not exist there: clocks went forward")
    if at.utcoffset() != at.replace(fold=1).utcoffset():
        raise _usage(text, "was there twice, as clocks went back: write it with an offset, such as +01:00")
    return at


def _padded(clock_text: str) -> str:
    """Python 3.11 takes three or six digits of a second's fraction."""
    whole, point, fraction = clock_text.partition(".")
    return f"{whole}.{fraction:0<6}" if point else whole


def _zone(name: str, text: str) -> tzinfo:
    if name in ("Z", "UTC", "utc", "z"):
        return UTC
    if name[0] in "+-":
        digits = name[1:].replace(":", "")
        try:
            offset = datetime.strptime(f"{name[0]}{digits:0<4}", "%z").tzinfo
        except ValueError:
            offset = None
        if offset is None:
            raise _usage(text, f"has no offset from UTC: {name}")
        return offset
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _usage(text, f"names no time zone that is known here: {name}") from None


def _usage(text: str, why: str) -> HaError:
    return HaError(f"{text!r} {why}", where="--to", fix=f"write it as one of: {FORMS}", exit_code=EXIT_USAGE)


def choose(found: Backups, target: Target, *, named: str | None = None) -> Listed:
    """The backup to begin with: the newest one that leads to the target.

    :param named: the label of one that the operator wants instead.
    :raises HaError: when there is none, with what is possible.
    """
    whole = [one for one in found.backups if not one.fault]
    if named is not None:
        return _named(found, whole, named, target)
    if not whole:
        raise _impossible(found, "no backup can be restored")
    leading = [one for one in whole if _leads(found, one, target)]
    if not leading:
        raise _impossible(found, _why_none(found, whole, target))
    return max(leading, key=lambda one: one.stopped)


def before(found: Backups, used: Listed, target: Target) -> Listed | None:
    """The backup to use when one turns out to be damaged; None: there is none. What needs that one is left out."""
    leading = [
        one
        for one in found.backups
        if not one.fault and one.stopped < used.stopped and used.label not in (one.label, one.prior)
    ]
    leading = [one for one in leading if _leads(found, one, target)]
    return max(leading, key=lambda one: one.stopped, default=None)


def _named(found: Backups, whole: Sequence[Listed], named: str, target: Target) -> Listed:
    chosen = next((one for one in found.backups if one.label == named), None)
    if chosen is None:
        raise _impossible(found, f"there is no backup {named}")
    if chosen not in whole:
        raise _impossible(found, f"the backup {named} cannot be restored: {chosen.fault}")
    if target.at is not None and chosen.stopped > target.at:
        raise _impossible(found, f"the backup {named} ended at {clock(chosen.stopped)}, after {target}")
    return chosen


def _leads(found: Backups, one: Listed, target: Target) -> bool:
    match target.kind:
        case "time" | "xid":
            return target.at is not None and one.stopped <= target.at and _stretch_holds(found, one, target.at)
        case "lsn":
            return one.lsn_stop is not None and _lsn(one.lsn_stop) <= _lsn(target.value or "0/0")
        case _:
            return True


def _stretch_holds(found: Backups, one: Listed, at: datetime) -> bool:
    """Whether WAL leads from a backup to a time without a hole. After the newest segment was archived nobody knows."""
    ranges = sorted(found.ranges, key=lambda each: each.since)
    own = [each for each in ranges if each.since <= one.stopped]
    if not own:
        return False
    last = own[-1]
    return last is ranges[-1] or last.until is None or at <= last.until


def _why_none(found: Backups, whole: Sequence[Listed], target: Target) -> str:
    if target.kind == "xid" and target.at is None:
        return f"when the transaction {target.value} ran is not known: name the backup to begin with, by --backup"
    first = min(one.stopped for one in whole)
    if target.at is not None and target.at < first:
        return f"{target} is before the end of the oldest backup, {clock(first)}"
    if target.kind == "lsn":
        return f"{target} is before the end of the oldest backup"
    return f"{target} is in a hole of the archive"


def _impossible(found: Backups, why: str) -> HaError:
    possible = [
        f"{clock(one.since)} until {clock(one.until) if one.until else 'the newest archived WAL'}"
        for one in found.ranges
    ]
    return HaError(
        why,
        where=f"{found.stack} on {found.target}",
        fix=f"one can go back to: {', or '.join(possible) or 'nothing'}; `ha db backups` shows the backups",
    )


def _lsn(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)

"""One operation at a time on an estate: a lease in the artifact bucket, taken and renewed by conditional writes.

The invariant: of two processes at most one holds the lease. Each write is based on what was just read, and S3 makes it
only if nobody has written since (ops/objects.py). So of two that take a free lease one succeeds, and a holder whose
lease was taken over cannot renew it.

Whether a lease has expired is decided by S3's clock alone, the `Date` of its answers: operators' clocks may differ. The
holder counts from before it asked, by its own monotonic clock, and stops a margin earlier. `until` differs in each
renewal, so a renewal has another ETag, and who found the lease expired cannot overwrite one that was renewed since.

A released lease is written, not deleted: it tells what the last operation was, and needs no right to delete.
"""

from __future__ import annotations

import atexit
import getpass
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from ops.objects import Conflict, read, replace, url
from spec.errors import HaError

KEY: Final = "operations/lease"
TERM_S: Final = 60.0
"""How long a lease lasts unless it is renewed; it is renewed every third of that."""
_MARGIN = 1 / 12
"""The part of the term that the holder does not count on: S3's times are whole seconds, of several servers' clocks."""
_ATTEMPTS = 10
"""Each lost one means that another operation wrote: this many in a row are a fault."""

# Shown on a terminal: no control characters.
_Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class LeaseRecord(BaseModel):
    """The object in S3. `holder` is empty when the lease was released; `by` is an operator, `user@host`."""

    model_config = ConfigDict(frozen=True)

    holder: _Line
    what: _Line
    by: _Line
    since: AwareDatetime
    until: AwareDatetime


@dataclass(frozen=True)
class Seen:
    """The lease as it was read `at` a time of S3's clock. Damaged: `record` is None and `fault` says why."""

    record: LeaseRecord | None
    etag: str
    at: datetime
    fault: str = ""

    @property
    def holder(self) -> str:
        return self.record.holder if self.record else ""

    @property
    def held(self) -> bool:
        return self.record is not None and self.record.holder != "" and self.record.until > self.at


class LeaseLost(HaError):
    """The lease is another operation's, or may be: stop."""


class Lease:
    """The lease of one estate, as this process holds it or wants it. Threads may share it.

    `take` may be repeated: the lease is freed by as many `release`s, or when the process ends. Long work calls `check`
    before each step.
    """

    def __init__(self, s3: Any, bucket: str, what: str, *, term_s: float = TERM_S) -> None:
        """:param what: the operation as its user knows it, e.g. "pulumi up"."""
        self._s3 = s3
        self._bucket = bucket
        self._what = what
        self._term_s = term_s
        self._lock = threading.RLock()
        self._takers = 0
        self._holder = ""
        self._safe_until = 0.0
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.release()
        return False

    def take(self) -> None:
        """Take the lease, or take part in it when this process has it.

        :raises HaError: when another operation holds it, or S3 cannot be asked.
        """
        with self._lock:
            if self._takers:
                self.check()
            else:
                self._acquire()
                self._stop = threading.Event()
                threading.Thread(target=self._keep, args=(self._stop,), name="lease", daemon=True).start()
                atexit.register(self._end)
            self._takers += 1

    def check(self) -> None:
        """Renew the lease now. A failure of S3 is tolerated as long as the lease lasts.

        :raises LeaseLost: when another operation may hold it.
        """
        with self._lock:
            if not self._takers:
                raise RuntimeError("the lease is not taken")
            try:
                self._renew()
            except LeaseLost:
                raise
            except HaError as error:
                if time.monotonic() >= self._safe_until:
                    raise LeaseLost(
                        f"the lease of {self._what!r} could not be renewed within {self._term_s:.0f} s: {error.what}",
                        where=url(self._bucket, KEY),
                        fix="run the command again when S3 answers",
                    ) from None

    def release(self) -> None:
        """Free the lease when this is the last of its takers. What is not taken is not released."""
        with self._lock:
            if self._takers == 1:
                self._end()
            elif self._takers:
                self._takers -= 1

    def _acquire(self) -> None:
        self._holder = uuid.uuid4().hex  # one for each time: a lost lease never becomes ours again
        for _ in range(_ATTEMPTS):
            began = time.monotonic()
            seen = look(self._s3, self._bucket)
            if seen.fault:
                raise HaError(
                    f"the lease is damaged: {seen.fault}",
                    where=url(self._bucket, KEY),
                    fix="when no other operation runs, `ha unlock` replaces it",
                )
            if seen.record and seen.held and seen.holder != self._holder:
                raise _held(seen.record, self._bucket)
            # One that we hold already is a write of ours whose answer was lost.
            if self._write(seen, self._record(seen)):
                self._safe_until = began + self._term_s * (1 - _MARGIN)
                return
        raise _contended(self._bucket)

    def _renew(self) -> None:
        for _ in range(_ATTEMPTS):
            began = time.monotonic()
            seen = look(self._s3, self._bucket)
            if seen.record is None or seen.holder != self._holder:
                raise self._lost(seen)
            # An expired lease that nobody took is still ours.
            until = seen.at + timedelta(seconds=self._term_s)
            if self._write(seen, seen.record.model_copy(update={"until": until})):
                self._safe_until = began + self._term_s * (1 - _MARGIN)
                return
        raise _contended(self._bucket)

    def _keep(self, stop: threading.Event) -> None:
        """Renew until told to stop. What goes wrong here is raised by `check`."""
        while not stop.wait(self._term_s / 3):
            with self._lock:
                if stop.is_set():
                    return
                try:
                    self._renew()
                except LeaseLost:
                    return
                except HaError:
                    continue

    def _end(self) -> None:
        """Free the lease in S3; if that fails, it expires by itself."""
        with self._lock:
            self._takers = 0
            self._stop.set()
            atexit.unregister(self._end)
            try:
                seen = look(self._s3, self._bucket)
                if seen.record is not None and seen.holder == self._holder:
                    self._write(seen, _freed(seen.record, seen.at))
            except HaError:
                pass

    def _record(self, seen: Seen) -> LeaseRecord:
        until = seen.at + timedelta(seconds=self._term_s)
        return LeaseRecord(holder=self._holder, what=self._what, by=person(), since=seen.at, until=until)

    def _write(self, seen: Seen, record: LeaseRecord) -> bool:
        """Replace what was seen. False when another one has."""
        try:
            replace(self._s3, self._bucket, KEY, _to_bytes(record), seen.etag)
        except Conflict:
            return False
        return True

    def _lost(self, seen: Seen) -> LeaseLost:
        if seen.record and seen.held:
            why = f"{seen.record.what!r} by {seen.record.by} has held it since {_clock(seen.record.since)}"
        else:
            why = seen.fault or "somebody freed it with `ha unlock`, or another operation had it meanwhile"
        return LeaseLost(
            f"{self._what!r} no longer holds the lease: {why}",
            where=url(self._bucket, KEY),
            fix="see `ha status`; run the command again when no other operation runs",
        )


_leases: dict[str, Lease] = {}
_leases_lock = threading.Lock()


def process_lease(s3: Any, bucket: str, what: str) -> Lease:
    """The one lease that this process has on an estate, for all its threads; `what` is the first caller's.

    A hook takes it and leaves it to the end of the process: between two hooks of an `up` nobody else may begin.
    """
    with _leases_lock:
        return _leases.setdefault(bucket, Lease(s3, bucket, what))


def look(s3: Any, bucket: str) -> Seen:
    """Read the lease. :raises HaError: when S3 refuses or cannot be reached."""
    stored = read(s3, bucket, KEY)
    if stored.body is None:
        return Seen(None, "", stored.at)
    try:
        return Seen(LeaseRecord.model_validate_json(stored.body), stored.etag, stored.at)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        fault = ": ".join([".".join(map(str, first["loc"])) or "the object", first["msg"]])
        return Seen(None, stored.etag, stored.at, fault)


def free(s3: Any, bucket: str, seen: Seen) -> None:
    """Free the lease that was seen, even if its holder renewed it since; that holder finds it lost.

    :raises HaError: when another operation has taken it meanwhile, or S3 cannot be asked.
    """
    now = seen
    for _ in range(_ATTEMPTS):
        if not now.fault and not now.held:
            return
        if now.record and now.held and now.holder != seen.holder:
            raise _held(now.record, bucket)
        last = now.record or LeaseRecord(holder="", what="ha unlock", by=person(), since=now.at, until=now.at)
        try:
            replace(s3, bucket, KEY, _to_bytes(_freed(last, now.at)), now.etag)
            return
        except Conflict:
            now = look(s3, bucket)
    raise _contended(bucket)


def _freed(record: LeaseRecord, at: datetime) -> LeaseRecord:
    return record.model_copy(update={"holder": "", "until": at})


def _to_bytes(record: LeaseRecord) -> bytes:
    return f"{record.model_dump_json(indent=2)}\n".encode()


def _held(record: LeaseRecord, bucket: str) -> HaError:
    return HaError(
        f"another operation is under way: {record.what!r} by {record.by}, since {_clock(record.since)}; its lease "
        f"lasts until {_clock(record.until)} unless it is renewed",
        where=url(bucket, KEY),
        fix="wait until it has ended, or `ha unlock` if that operation has died",
    )


def _contended(bucket: str) -> HaError:
    return HaError("other operations keep writing the lease", where=url(bucket, KEY), fix="try again")


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def person() -> str:
    """Who runs this, for a record: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = "unknown"
    return "".join(c for c in f"{user}@{socket.gethostname()}" if c.isprintable())[:200]

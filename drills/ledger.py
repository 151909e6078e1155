"""The ledger: the writes that the estate acknowledged, compared with the rows that its database has afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from drills.fault_injector import FaultInjector
from drills.samples import Kind, Sample
from ops.postgres import psql_command


@dataclass(frozen=True)
class Verdict:
    """`lost`: acknowledged, not stored. `doubled`: stored more than once. `unanswered`: stored, not acknowledged."""

    acknowledged: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    unanswered: int


@dataclass(frozen=True)
class AtTarget:
    """A restored database against the ledger. A write that was sent before the target and acknowledged after it may be
    there or not: it is in neither list.

    `rpo_s`: from the newest acknowledged write before the target that is there to the target; 0: none is missing.
    """

    acknowledged_before: int
    missing: tuple[str, ...]
    sent_after: int
    after_and_there: tuple[str, ...]
    rpo_s: float


def compare(samples: Iterable[Sample], stored: Iterable[str], *, since: float = -inf) -> Verdict:
    """What became of the writes, by the titles of the rows that are stored. Pure.

    :param since: writes that were sent before this moment are left out, with their rows.
    """
    writes = [s for s in samples if s.kind is Kind.WRITE]
    earlier = {s.key for s in writes if s.start < since}
    rows = Counter(title for title in stored if title not in earlier)
    acknowledged = {s.key for s in writes if s.ok} - earlier
    return Verdict(
        acknowledged=len(acknowledged),
        lost=tuple(sorted(acknowledged - rows.keys())),
        doubled=tuple(sorted(title for title, count in rows.items() if count > 1)),
        unanswered=len(rows.keys() - acknowledged),
    )


def compare_at(samples: Iterable[Sample], restored: Iterable[str], target: float) -> AtTarget:
    """What is there of a database that was restored to a moment (monotonic), by the titles of its rows. Pure."""
    rows = set(restored)
    writes = [s for s in samples if s.kind is Kind.WRITE]
    before = sorted((s for s in writes if s.ok and s.end < target), key=lambda s: s.end)
    after = [s for s in writes if s.start > target]
    missing = [s.key for s in before if s.key not in rows]
    # With nothing there, at least what the load wrote is lost.
    newest = max((s.end for s in before if s.key in rows), default=before[0].end if before else target)
    return AtTarget(
        acknowledged_before=len(before),
        missing=tuple(missing),
        sent_after=len(after),
        after_and_there=tuple(s.key for s in after if s.key in rows),
        rpo_s=target - newest if missing else 0.0,
    )


def stored_titles(injector: FaultInjector, host: str, prefix: str) -> list[str]:
    """The titles of the rows of a host's database that begin with `prefix`. :raises HaError: without an answer."""
    statement = f"select title from events where starts_with(title, $${prefix}$$)"  # noqa: S608 - a prefix of our own
    return injector.run(host, psql_command(injector.settings.database.name, statement)).splitlines()


def delete_statement(prefix: str) -> str:
    """Deletes a drill's rows."""
    return f"delete from events where starts_with(title, $${prefix}$$)"  # noqa: S608 - a prefix of our own


def counted_delete_statement(prefix: str) -> str:
    """Deletes a drill's rows and answers with their number."""
    return f"with gone as ({delete_statement(prefix)} returning 1) select count(*) from gone"  # noqa: S608 - as above

"""The ledger: the writes that the estate acknowledged, compared with the rows that its database has afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

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


def compare(samples: Iterable[Sample], stored: Iterable[str]) -> Verdict:
    """What became of the writes, by the titles of the rows that are stored. Pure."""
    rows = Counter(stored)
    acknowledged = {s.key for s in samples if s.kind is Kind.WRITE and s.ok}
    return Verdict(
        acknowledged=len(acknowledged),
        lost=tuple(sorted(acknowledged - rows.keys())),
        doubled=tuple(sorted(title for title, count in rows.items() if count > 1)),
        unanswered=len(rows.keys() - acknowledged),
    )


def stored_titles(injector: FaultInjector, primary: str, prefix: str) -> list[str]:
    """The titles of the stored rows that begin with `prefix`. :raises HaError: when the primary does not answer."""
    statement = f"select title from events where starts_with(title, $${prefix}$$)"  # noqa: S608 - a prefix of our own
    return injector.run(primary, psql_command(injector.settings.database.name, statement)).splitlines()


def delete_statement(prefix: str) -> str:
    """Deletes a drill's rows."""
    return f"delete from events where starts_with(title, $${prefix}$$)"  # noqa: S608 - a prefix of our own

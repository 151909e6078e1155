"""The ledger: writes that the estate acknowledged, held against the rows that its database has afterwards."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from drills.ground import Ground
from drills.samples import Kind, Sample


@dataclass(frozen=True)
class Verdict:
    """`lost`: acknowledged and not there. `doubled`: stored more than once. `unanswered`: stored, not acknowledged."""

    acknowledged: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    unanswered: int


def compare(samples: Iterable[Sample], stored: Iterable[str]) -> Verdict:
    """What became of the writes, from the titles that the database has. Pure."""
    rows = Counter(stored)
    acknowledged = {s.key for s in samples if s.kind is Kind.WRITE and s.ok}
    return Verdict(
        acknowledged=len(acknowledged),
        lost=tuple(sorted(acknowledged - rows.keys())),
        doubled=tuple(sorted(title for title, count in rows.items() if count > 1)),
        unanswered=len(rows.keys() - acknowledged),
    )


def _sql(ground: Ground, host: str, statement: str) -> str:
    database = ground.settings.database.name
    psql = f"/usr/local/sbin/ha-postgres psql -XqAt -v ON_ERROR_STOP=1 -d {database}"
    return ground.run(host, f"{psql} -c {shlex.quote(statement)}")


def stored_titles(ground: Ground, primary: str, prefix: str) -> list[str]:
    """The titles with `prefix` that the primary has. :raises HaError: when it cannot be asked."""
    return _sql(ground, primary, f"select title from events where starts_with(title, $${prefix}$$)").splitlines()  # noqa: S608 - ours


def forgetting(prefix: str) -> str:
    """The statement that removes a drill's rows."""
    return f"delete from events where starts_with(title, $${prefix}$$)"  # noqa: S608 - ours

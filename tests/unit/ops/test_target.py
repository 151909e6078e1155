"""The point that a restore goes back to, and the backup that it begins with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.backups import Backups, Repository, evaluate
from ops.target import Target, before, choose, parse
from spec.errors import EXIT_USAGE, HaError
from spec.settings import BackupSettings
from tests.unit.repository import archived, at, backup, described, run, stanza, usual

NOW = datetime(2026, 12, 1, 22, tzinfo=UTC)
FULL, INCREMENTAL = (one["label"] for one in usual())


def found(document: dict[str, Any]) -> Backups:
    repository = Repository.model_validate(document)
    return evaluate(repository, BackupSettings(), NOW, proofs=[], stack="dev", target="lab", host="db1", primary=True)


def time(hour: int, minute: int = 0) -> Target:
    return parse(f"2026-12-01 {hour:02}:{minute:02} UTC", now=NOW)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01 14:05 UTC", "2026-12-01 14:05:00"),
        ("2026-12-01 9:05Z", "2026-12-01 09:05:00"),
        ("2026-12-01T14:05:09.25 Europe/Berlin", "2026-12-01 13:05:09.25"),
        ("2026-12-01 14:05 +0530", "2026-12-01 08:35:00"),
        ("2026-12-01 00:05+01", "2026-11-30 23:05:00"),
        ("2026-07-01 14:05 America/New_York", "2026-07-01 18:05:00"),
    ],
)
def test_a_time_in_any_zone(text: str, utc: str) -> None:
    target = parse(text, now=NOW)
    assert str(target) == f"{utc} UTC"
    assert target.kind == "time"
    assert not target.exclusive


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-12-01 14:05", "names no time zone"),
        ("2026-12-01 14:05 Mars/Olympus", "no time zone that is known"),
        ("2026-12-01 25:05 UTC", "no point in time"),
        ("2026-12-01 14:05 +99:99", "no offset"),
        ("2026-12-01 22:01 UTC", "in the future: it is 2026-12-01 22:00:00 UTC"),
        ("2026-10-25 02:30 Europe/Berlin", "was there twice"),
        ("2026-03-29 02:30 Europe/Berlin", "does not exist there"),
        ("yesterday", "no point in time"),
        ("lsn:3000148", "no point in time"),
        ("before-transaction:x", "no point in time"),
    ],
)
def test_what_is_no_target_is_bad_usage(text: str, why: str) -> None:
    with pytest.raises(HaError, match=why) as refused:
        parse(text, now=NOW)
    assert refused.value.exit_code == EXIT_USAGE
    assert "before-transaction:7421" in refused.value.fix


def test_other_targets() -> None:
    assert parse("lsn:0/3000abc", now=NOW) == Target("lsn", "0/3000ABC")
    assert parse("before-transaction:7421", now=NOW) == Target("xid", "7421")
    assert parse("before-transaction:7421", now=NOW).exclusive
    assert parse("newest", now=NOW) == Target("newest")


def test_the_newest_backup_before_the_target_is_taken() -> None:
    there = found(described(stanza(usual())))
    assert choose(there, time(17)).label == FULL
    assert choose(there, time(19)).label == INCREMENTAL
    assert choose(there, Target("newest")).label == INCREMENTAL
    assert choose(there, Target("xid", "7421", time(17).at)).label == FULL


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (time(11), "before the end of the oldest backup, 2026-12-01 12:01:00 UTC"),
        (Target("lsn", "0/1"), "before the end of the oldest backup"),
        (Target("xid", "7421"), "when the transaction 7421 ran is not known"),
    ],
)
def test_what_no_backup_leads_to_is_refused_with_what_is_possible(target: Target, why: str) -> None:
    with pytest.raises(HaError, match=why) as refused:
        choose(found(described(stanza(usual()))), target)
    assert "one can go back to: 2026-12-01 12:01:00 UTC until" in refused.value.fix


def test_a_time_in_a_hole_is_refused() -> None:
    there = found(described(stanza(usual()), wal=archived(run(1, 10, at(3)), run(15, 40, at(8)))))
    assert choose(there, time(14)).label == FULL
    assert choose(there, time(19)).label == INCREMENTAL
    with pytest.raises(HaError, match="in a hole of the archive"):
        choose(there, time(16))


def test_a_backup_may_be_named() -> None:
    there = found(described(stanza(usual())))
    assert choose(there, time(19), named=FULL).label == FULL
    with pytest.raises(HaError, match="there is no backup"):
        choose(there, time(19), named="20200101-000000F")
    with pytest.raises(HaError, match=f"{INCREMENTAL} ended at .* after"):
        choose(there, time(17), named=INCREMENTAL)


def test_the_one_before_a_damaged_backup_does_not_need_it() -> None:
    full, incremental = usual()
    there = found(described(stanza([full, incremental])))
    chosen = choose(there, time(19))
    earlier = before(there, chosen, time(19))
    assert earlier is not None
    assert earlier.label == FULL
    assert before(there, earlier, time(19)) is None


def test_nothing_to_restore() -> None:
    with pytest.raises(HaError, match="no backup can be restored") as refused:
        choose(found(described(stanza([backup(at(0), at(1), FULL)]))), Target("newest"))
    assert "nothing" in refused.value.fix

"""What a host says of its repository: read with care, and judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from ops.backups import Backup, Backups, Repository, clock, evaluate, kept_until, progress_in_words, running_of, size
from ops.proof import Proof
from ops.wal import Hole
from spec.errors import HaError
from spec.settings import BackupSettings
from tests.unit.repository import NOON, SYSTEM_ID, archived, at, backup, described, run, stanza, usual, wal


def parsed(document: Any) -> Repository:
    return Repository.parse(json.dumps(document), where="db1")


def judged(
    told: dict[str, Any],
    *,
    hours: float = 8,
    primary: bool = True,
    proofs: Sequence[Proof] | None = (),
    **changed: Any,
) -> Backups:
    now = NOON + timedelta(hours=hours)
    found = parsed(described(told, **changed))
    return evaluate(found, BackupSettings(), now, proofs, stack="dev", target="lab", host="db1", primary=primary)


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds - NOON.timestamp())


def test_a_whole_repository_has_one_range_and_no_problem() -> None:
    found = judged(stanza(usual()))
    assert found.problems == []
    assert [(one.since, one.until) for one in found.ranges] == [(moment(at(0) + 60), moment(at(8)))]
    assert found.holes == []
    assert found.running is None
    first, second = found.backups
    assert (first.label, first.type, first.fault) == ("20261201-120000F", "full", "")
    assert (first.database_bytes, first.copied_bytes, first.added_bytes) == (180_355_072, 180_355_072, 22_544_384)
    assert first.repository_bytes is None  # with block incrementals pgBackRest prints a map instead
    assert (second.prior, second.wal_first, second.wal_last) == (first.label, wal(20), wal(21))


def test_the_document_is_plain_json() -> None:
    assert json.loads(judged(stanza(usual())).model_dump_json())["backups"][0]["started"] == "2026-12-01T12:00:00Z"


@pytest.mark.parametrize("code", [1, 2, 3])
def test_no_backup_yet(code: int) -> None:
    found = judged(stanza(code=code, message="no valid backups"), wal=archived())
    assert found.problems == ["there is no backup yet: `ha db backup` makes one"]
    assert found.ranges == []


def test_a_repository_that_cannot_be_reached_is_in_pgbackrests_words() -> None:
    said = "[HostConnectError] unable to connect to 'bucket.s3.us-east-1.amazonaws.com:443'"
    assert judged(stanza(code=99, message=said), wal=None).problems == [f"the repository cannot be read: {said}"]


def test_a_repository_of_another_database_is_said() -> None:
    found = judged(stanza(usual()), system_identifier="1")
    assert found.problems[0] == (
        f"the backups are of another database: its system identifier is {SYSTEM_ID}, the running one's 1"
    )


def test_a_hole_divides_what_one_can_go_back_to() -> None:
    found = judged(stanza(usual()), wal=archived(run(1, 10, at(3)), run(15, 40, at(8))))
    assert found.holes == [Hole(after=wal(10), before=wal(15), segments=4)]
    assert found.problems == [
        f"a hole in the archive: 4 segments are missing after {wal(10)}, before {wal(15)}",
    ]
    assert [(one.since, one.until, one.last_wal) for one in found.ranges] == [
        (moment(at(0) + 60), moment(at(3)), wal(10)),
        (moment(at(6) + 6), moment(at(8)), wal(40)),
    ]


def test_a_hole_before_the_oldest_backup_does_not_matter() -> None:
    full = backup(at(0), at(0) + 60, segments=(wal(20), wal(21)))
    found = judged(stanza([full]), hours=1, wal=archived(run(1, 10, at(-1)), run(15, 40, at(1))))
    assert found.holes == []
    assert found.problems == []


def test_one_can_go_back_through_a_failover() -> None:
    found = judged(stanza(usual()), wal=archived(run(1, 30, at(7)), run(31, 33, at(8), timeline=2)))
    assert [(one.since, one.last_wal) for one in found.ranges] == [(moment(at(0) + 60), wal(33, 2))]


def test_a_backup_whose_own_wal_is_missing_cannot_be_restored() -> None:
    found = judged(stanza(usual()), wal=archived(run(1, 20, at(5)), run(22, 40, at(8))))
    own = f"{wal(20)} to {wal(21)}"
    assert found.backups[1].fault == f"no WAL leads on from it: {own} is missing, or of a timeline that was left"
    assert len(found.ranges) == 1
    assert any(problem.startswith(f"backup {found.backups[1].label}: no WAL leads") for problem in found.problems)


def test_one_after_it_needs_its_files_only() -> None:
    first, second = usual()
    third = backup(at(7), at(7) + 5, second["label"], (wal(30), wal(30)))
    found = judged(stanza([first, second, third]), wal=archived(run(1, 20, at(5)), run(22, 40, at(8))))
    assert [bool(one.fault) for one in found.backups] == [False, True, False]


def test_a_backup_whose_prior_is_gone_cannot_be_restored_nor_can_those_after_it() -> None:
    _, second = usual()
    third = backup(at(7), at(7) + 5, second["label"], (wal(30), wal(30)))
    found = judged(stanza([second, third]))
    assert [one.fault for one in found.backups] == [
        "it needs 20261201-120000F: it is missing",
        "it needs 20261201-120000F: it is missing",
    ]
    assert found.ranges == []
    assert "no backup can be restored" in found.problems


def test_wrong_page_checksums_are_said_and_the_backup_is_not_hidden() -> None:
    full = backup(at(0), at(0) + 60, error=True)
    found = judged(stanza([full]), hours=1)
    assert found.problems == [f"backup {full['label']}: pages of the database had wrong checksums when it was made"]
    assert len(found.ranges) == 1


def test_an_archive_that_could_not_be_listed_is_not_called_whole() -> None:
    assert parsed(_without(WHOLE, "wal")).archive is None
    found = judged(stanza(usual()), wal=None)
    assert found.holes is None
    assert found.problems == ["the archive could not be listed: whether WAL is missing is not known"]
    assert [clock(one.until) for one in found.ranges if one.until] == ["2026-12-01 19:59:30 UTC"]


def test_an_archive_that_stands_still_is_said_with_since_when() -> None:
    archiver = {
        "last_archived_wal": wal(40),
        "last_archived_time": "2026-12-01T20:30:00+01:00",
        "failed_count": 7,
        "last_failed_time": "2026-12-01T19:59:00Z",
        "ready": 3,
    }
    found = judged(stanza(usual()), archiver=archiver)
    assert found.problems == [
        "the archive stands still since 2026-12-01 19:30:00 UTC: 3 segments wait; "
        "the last attempt failed at 2026-12-01 19:59:00 UTC"
    ]
    assert judged(stanza(usual()), archiver={**archiver, "ready": 0}).problems == []  # an idle database writes no WAL
    assert judged(stanza(usual()), archiver=archiver, primary=False).problems == []  # a standby does not archive
    never = judged(stanza(usual()), archiver={"last_archived_time": None, "last_failed_time": None, "ready": 1})
    assert "nothing was archived since this host became primary, 1 segment waits" in never.problems[0]


def test_backups_that_are_late_are_said() -> None:
    assert judged(stanza(usual()), hours=12.9).problems == []
    late = judged(stanza(usual()), hours=13.1).problems
    assert late == ["the newest backup is of 2026-12-01 18:00:06 UTC, but one is planned every 6 h"]
    incremental = backup(at(7 * 24), at(7 * 24), "20261201-120000F", (wal(30), wal(30)))
    assert judged(stanza([*usual(), incremental]), hours=7 * 24 + 2).problems == [
        "the newest full backup is of 2026-12-01 12:01:00 UTC, but one is planned every 168 h"
    ]


def test_a_backup_that_runs_shows_how_far_it_is() -> None:
    lock = {"held": True, "size": 3_221_225_472, "size-cplt": 1_435_765_000}
    running = running_of(parsed(described(stanza(usual(), lock=lock))).stanza)
    assert running is not None
    assert progress_in_words(running) == "45% of 3.0 GiB"
    unknown = running_of(parsed(described(stanza(usual(), lock={"held": True}))).stanza)
    assert unknown is not None
    assert progress_in_words(unknown) == "its size is not known yet"


def test_a_full_backup_is_kept_until_the_next_one_is_old_enough() -> None:
    full, incremental = usual()
    later = backup(at(168), at(168) + 60)
    known = [Backup.model_validate(one) for one in (full, incremental, later)]
    end = moment(at(168) + 60) + timedelta(days=14)
    assert kept_until(known, 14) == {full["label"]: end, incremental["label"]: end}


def test_what_pgbackrest_adds_later_is_no_damage() -> None:
    told = stanza([backup(at(0), at(0) + 60, annotation={"by": "somebody"}, progress=[1])]) | {"future": {}}
    assert judged(told, hours=1, more=True).problems == []


def _without(document: dict[str, Any], *path: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(document))
    part: Any = changed
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return changed


WHOLE = described(stanza(usual()))


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        ("", "this is no JSON"),
        ("[" * 20_000, "this is no JSON"),
        ("1" * 20_000, "this is no JSON"),
        ("null", "the document"),
        ("[]", "the document"),
        ("{}", "info"),
        (described(stanza(usual()), info=[]), "info"),
        (_without(WHOLE, "info", 0, "status", "code"), "status.code"),
        (_without(WHOLE, "info", 0, "backup", 1, "timestamp", "stop"), "backup.1.timestamp.stop"),
        (_without(WHOLE, "wal", "runs"), "wal.runs"),
        (described(stanza([backup(at(0), at(1), label="../../etc/passwd")])), "backup.0.label"),
        (described(stanza([backup(at(0), at(1), label="20261201-120000F\x1b[2J\x07; rm")])), "backup.0.label"),
        (described(stanza([backup(at(0), at(1), type="strange")])), "backup.0.type"),
        (described(stanza(usual()), wal=archived({"first": "x", "last": wal(1), "archived": 1})), "wal.runs.0.first"),
        (described(stanza(usual()), system_identifier={"a": 1}), "system_identifier"),
        (described(stanza(usual()), wal={"segment_bytes": 0, "runs": []}), "wal.segment_bytes"),
        (described(stanza(usual()), archiver={"last_archived_time": "2026-12-01 12:00", "ready": 0}), "archiver"),
    ],
)
def test_what_is_damaged_is_refused_with_where(damaged: Any, fault: str) -> None:
    text = damaged if isinstance(damaged, str) else json.dumps(damaged)
    with pytest.raises(HaError) as refused:
        Repository.parse(text, where="db1")
    assert refused.value.what.startswith("the description of the backups is damaged: ")
    assert fault in refused.value.what
    assert refused.value.what.isprintable()
    assert refused.value.where == "db1"
    assert refused.value.fix


def test_words_of_a_host_have_no_control_sequences() -> None:
    found = judged(stanza(code=99, message="[CryptoError] \x1b]0;owned\x07bad\nline"), wal=None)
    assert "".join(found.problems[0].splitlines()).isprintable()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (22_544_384, "21.5 MiB"),
        (180_355_072, "172 MiB"),
        (20 * 2**30, "20.0 GiB"),
        (2**60, "1048576 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def proof(hours: float, why: str = "", label: str = "20261201-120000F") -> Proof:
    return Proof(at=moment(at(hours)), good=not why, why=why, backup=label, rpo_s=41, restore_s=60)


def test_each_backup_has_when_it_was_last_proven() -> None:
    found = judged(stanza(usual()), proofs=[proof(7), proof(5), proof(4, label="20261201-000000F")])
    assert [one.proven for one in found.backups] == [moment(at(7)), None]
    assert found.proof == proof(7)
    assert found.problems == []


def test_a_failed_proof_is_said_and_proves_nothing() -> None:
    found = judged(stanza(usual()), proofs=[proof(7, why="no\x1b[2J room\n on it"), proof(5)])
    assert [one.proven for one in found.backups] == [moment(at(5)), None]
    assert found.proof == proof(5)
    assert found.problems == ["the newest proof failed: no room on it"]


UNPROVEN = "no backup was proven by a restore in the last 8 days"


@pytest.mark.parametrize(
    ("days", "proofs", "said"),
    [
        (7.9, [], False),  # of the first backup
        (8.1, [], True),
        (8.1, [proof(24)], False),
        (9.1, [proof(24)], True),
        (9.1, [proof(9 * 24, why="no room"), proof(24)], True),
        (9.1, None, False),  # not known
    ],
)
def test_a_proof_a_week_is_expected(days: float, proofs: list[Proof] | None, said: bool) -> None:
    assert (UNPROVEN in judged(stanza(usual()), hours=days * 24, proofs=proofs).problems) == said
    assert judged(stanza([]), hours=days * 24).problems == ["no backup can be restored"]

"""When a standby is copied anew, and what becomes of the data that it has."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cloud_init.rendering import estate, files_of, program
from tests.unit.cloud_init.sandbox import STEPS
from tests.unit.cloud_init.simulated_host import SimulatedHost

PROGRAM = program("db/files/usr/local/lib/ha/rebuild")
GIB = 2**30
NODE = {"id": 2, "goal": "catchingup", "reported": "catchingup", "lsn": 1000, "timeline": 1, "same": True}
PRIMARY = {
    "lsn": 9000,
    "segment": "000000010000000000000009",
    "history": "",
    "lost": True,
    "gone": True,
    "bytes": GIB,
}
AFTER_A_FAILOVER = {"segment": "000000020000000000000009", "history": "1\t0/3E8\tno recovery target specified\n"}


def judged(node: dict[str, Any] | None = None, primary: dict[str, Any] | None = None) -> Any:
    return PROGRAM.judge({**NODE, **(node or {})}, {**PRIMARY, **(primary or {})})


def test_a_standby_whose_slot_is_lost_can_never_catch_up() -> None:
    assert judged() == PROGRAM.Found(lost=True, follows=False, known=True, ahead=False, database_bytes=GIB)
    assert judged({"reported": "demoted"}).lost
    assert judged(primary={"gone": False}).lost


def test_one_that_counts_as_caught_up_without_its_slot_is_lost_too() -> None:
    """pg_auto_failover takes it for a standby, and commits would wait for it."""
    assert judged({"goal": "secondary", "reported": "secondary"}).lost
    follows = judged({"goal": "secondary", "reported": "secondary"}, {"lost": False})
    assert follows.follows
    assert not follows.lost


@pytest.mark.parametrize(
    ("node", "primary"),
    [
        ({"goal": "secondary"}, {"lost": False, "gone": False}),
        ({"goal": "maintenance"}, {}),
        ({"goal": None}, {}),
        ({}, {"lost": False, "gone": False}),
        ({"reported": "wait_standby"}, {"lost": False}),  # it is copied already: what it reports is of before
        ({"lsn": 0}, {"lost": False}),
    ],
)
def test_another_one_may_still_catch_up(node: dict[str, Any], primary: dict[str, Any]) -> None:
    assert not judged(node, primary).lost


def test_a_slot_that_was_made_anew_holds_nothing_of_what_is_gone() -> None:
    assert judged(primary={"lost": False}).lost


@pytest.mark.parametrize(
    ("node", "primary", "ahead"),
    [
        ({"lsn": 9000}, {}, False),
        ({"lsn": 9001}, {}, True),
        ({"timeline": 2}, {}, True),  # of a newer timeline than the primary
        ({"lsn": 1000}, AFTER_A_FAILOVER, False),
        ({"lsn": 1001}, AFTER_A_FAILOVER, True),  # it went on after the other one was promoted
        ({"lsn": 9000, "timeline": 2}, AFTER_A_FAILOVER, False),
        ({"same": False}, {}, True),
        ({"same": None}, {}, False),
    ],
)
def test_what_the_primary_lacks_is_not_thrown_away(node: dict[str, Any], primary: dict[str, Any], ahead: bool) -> None:
    assert judged(node, primary).ahead is ahead


class Host:
    """A database host's folder; `found` is what it sees, one after the other; `begun` what it began."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.begun = folder / "postgresql", list[str]()
        (self.home / "main/base").mkdir(parents=True)
        (self.home / "created").touch()
        self.sizes = folder / "20-size.conf"
        self.sizes.write_text("wal_keep_size = '5MB'\nmax_wal_size = '1024MB'\n", encoding="utf-8")
        self.found: list[Any] = [judged()]
        self.primary, self.free = False, 100 * GIB
        monkeypatch.setattr(PROGRAM, "HOME", self.home)
        monkeypatch.setattr(PROGRAM, "SIZES", self.sizes)
        monkeypatch.setattr(PROGRAM, "CHANGING", folder / "once")
        monkeypatch.setattr(PROGRAM, "STATE", folder / "rebuild.json")
        monkeypatch.setattr(PROGRAM.time, "sleep", lambda _: None)
        monkeypatch.setattr(PROGRAM.repository, "may_be_primary", lambda: self.primary)
        monkeypatch.setattr(PROGRAM.repository, "METRICS", folder / "metrics")
        monkeypatch.setattr(PROGRAM, "free", lambda: self.free)
        monkeypatch.setattr(PROGRAM, "begin", self.begun.append)

    def look(self) -> Any:
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, Exception):
            raise found
        return found

    def watch(self) -> None:
        PROGRAM.watch(self.look)

    def ask_for(self, *, drop: bool = False) -> str:
        return str(PROGRAM.ask_for(self.look, drop=drop))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_it_copies_itself_anew_and_keeps_what_it_has_meanwhile(host: Host) -> None:
    host.watch()
    assert host.begun == ["keep"]


@pytest.mark.parametrize("what", ["one look", "primary", "a change", "not created", "creating", "no answer"])
def test_it_is_left_alone(host: Host, what: str, tmp_path: Path) -> None:
    host.primary = what == "primary"
    if what == "one look":
        host.found = [judged(), judged({"goal": "secondary"}, {"lost": False, "gone": False})]
    if what == "a change":
        (tmp_path / "once").touch()
    if what == "not created":
        (host.home / "created").unlink()
    if what == "creating":
        (host.home / "creating").touch()
    if what == "no answer":
        host.found = [judged(), PROGRAM.Failed("the primary does not answer")]
        with pytest.raises(PROGRAM.Failed):
            host.watch()
    else:
        host.watch()
    assert host.begun == []


@pytest.mark.parametrize(
    ("found", "free", "reason"),
    [
        (judged({"lsn": 9001}), 100 * GIB, "ahead"),
        (judged({"lsn": 0}), 100 * GIB, "ahead"),  # nobody knows
        (judged(), int(2.1 * GIB) - 1, "room"),
    ],
)
def test_a_person_is_asked(host: Host, found: Any, free: int, reason: str) -> None:
    host.found, host.free = [found], free
    with pytest.raises(PROGRAM.NeedsPerson) as needs:
        host.watch()
    assert needs.value.reason == reason
    assert host.begun == []
    assert "no new copy" in host.ask_for()
    assert host.begun == []


def test_with_just_enough_room_nobody_is(host: Host) -> None:
    host.free = int(2.1 * GIB)  # the database, a tenth more, and max_wal_size
    host.watch()
    assert host.begun == ["keep"]


def test_a_copy_that_is_of_no_use_is_not_made_for_ever(host: Host) -> None:
    for _ in range(PROGRAM.MOST):
        host.watch()
    with pytest.raises(PROGRAM.NeedsPerson, match="copies in a day"):
        host.watch()
    assert host.begun == ["keep"] * PROGRAM.MOST
    assert host.ask_for() == ""  # a person's are not counted
    yesterday = "".join(f"{time.time() - PROGRAM.PER_S - 1:.0f}\n" for _ in range(PROGRAM.MOST))
    (host.home / "rebuilds").write_text(yesterday, encoding="utf-8")
    host.watch()
    assert len(host.begun) == PROGRAM.MOST + 2


def test_a_person_may_drop_the_old_copy_where_that_makes_room(host: Host) -> None:
    with (host.home / "main/base/1").open("wb") as data:
        data.truncate(GIB)
    host.free = int(1.1 * GIB)
    assert "1.1 GiB are free beside the old copy" in host.ask_for()
    assert host.ask_for(drop=True) == ""
    assert host.begun == ["drop"]
    host.free -= GIB // 10
    assert "even without the old copy" in host.ask_for(drop=True)


def test_a_person_needs_no_lost_slot_but_a_primary_that_is_another_node(host: Host) -> None:
    host.found = [judged({"goal": "demoted"})]
    assert host.ask_for() == ""
    host.primary = True
    assert "not as a standby" in host.ask_for()
    host.primary, host.found = False, [judged({"goal": "secondary"}, {"lost": False, "gone": False})]
    assert "follows the primary" in host.ask_for()
    host.primary, host.found = False, [PROGRAM.Failed("the other node is not a primary")]
    assert "the other node is not a primary" in host.ask_for()
    assert host.begun == ["keep"]


def test_a_copy_that_failed_half_way_protects_nothing(host: Host) -> None:
    """The node is not registered then, and what it has is a part of the primary's data."""
    (host.home / "created").unlink()
    host.found = [judged({"id": None, "goal": None, "lsn": None, "timeline": 0, "same": None})]
    assert host.ask_for(drop=True) == ""


def test_room_is_watched_long_before_it_is_needed(host: Host, tmp_path: Path) -> None:
    with (host.home / "main/base/1").open("wb") as data:
        data.truncate(GIB)
    (host.home / "main/pg_wal").mkdir()
    with (host.home / "main/pg_wal/1").open("wb") as data:
        data.truncate(GIB)  # is not copied
    host.free = int(2.1 * GIB)
    PROGRAM.export(None)
    assert (tmp_path / "metrics/rebuild.prom").read_text() == "ha_database_rebuild_room_ratio 0.8\n"
    assert not (tmp_path / "rebuild.json").exists()


def test_why_a_person_is_needed_is_said_once_and_reported(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs = PROGRAM.NeedsPerson("room", "a new copy needs 2 GiB")
    PROGRAM.export(needs)
    PROGRAM.export(needs)
    assert capsys.readouterr().err.count("a new copy needs 2 GiB") == 1
    assert 'ha_database_rebuild_blocked{reason="room"} 1.0\n' in (tmp_path / "metrics/rebuild.prom").read_text()
    assert json.loads((tmp_path / "rebuild.json").read_text())["text"].startswith("a new copy needs 2 GiB: docs/")
    PROGRAM.export(None)
    assert "blocked" not in (tmp_path / "metrics/rebuild.prom").read_text()
    assert not (tmp_path / "rebuild.json").exists()


def test_the_runbook_that_it_names_exists() -> None:
    assert (Path(__file__).parents[4] / PROGRAM.RUNBOOK).exists()


def test_each_node_asks_the_monitor_and_the_other_one() -> None:
    db2, monitor = (estate()[name].host.address for name in ("db2", "monitor1"))
    command = files_of("db1")["/usr/local/sbin/ha-rebuild"]
    assert command.endswith(f'exec /usr/local/lib/ha/rebuild db1 {monitor} {db2} 5432 "$@"\n')


POSTGRES = """
case "$*" in
  *"count(*) = 1"*) cat ROOT/alone ;;
  *"select true"*) echo t ;;
  "pg_autoctl create"*)
    [ ! -e ROOT/fails ] || { echo 'no space left' >&2; exit 1; }
    mkdir -p ROOT/srv/data/postgresql/main
    echo new >ROOT/srv/data/postgresql/main/standby.signal ;;
  "pg_autoctl config get"*) echo 2 ;;
  *) cat >/dev/null ;;
esac
"""


class Node:
    """A host on which step 50-node runs. `alone`: the other node is a primary without a standby, says the monitor."""

    def __init__(self, folder: Path, word: str) -> None:
        self.host = SimulatedHost(folder, "db2")
        self.home = folder / "srv/data/postgresql"
        for name in ("lib/ha/in-maintenance", "lib/ha/postgres-settings", "sbin/ha-service"):
            self.host.replace_program(f"/usr/local/{name}")
        self.host.replace_program("/usr/local/sbin/ha-postgres", POSTGRES)
        self.host.stand_in("sync")
        (self.home / "main").mkdir(parents=True)
        (self.home / "main/standby.signal").write_text("old\n", encoding="utf-8")
        (self.home / "created").touch()
        (self.home / "rebuild").write_text(word + "\n", encoding="utf-8")
        (folder / "run/ha").mkdir(parents=True, exist_ok=True)
        self.alone = True

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.home.iterdir())

    @property
    def data(self) -> str:
        return (self.home / "main/standby.signal").read_text(encoding="utf-8").strip()

    def set_up(self, *, fails: bool = False) -> Any:
        (self.host.root / "alone").write_text("t\n" if self.alone else "f\n", encoding="utf-8")
        (self.host.root / "fails").touch() if fails else (self.host.root / "fails").unlink(missing_ok=True)
        return self.host.run("bash", f"{self.host.root}{STEPS}50-node")


@pytest.mark.parametrize("word", ["keep", "drop"])
def test_the_node_is_made_anew_from_a_copy(tmp_path: Path, word: str) -> None:
    node = Node(tmp_path, word)
    done = node.set_up()
    assert done.returncode == 0, done.stderr
    assert (node.data, node.files) == ("new", ["created", "main"])
    assert node.host.did() == ["stop pgautofailover"]
    (node.home / "main/standby.signal").write_text("newer\n", encoding="utf-8")
    assert node.set_up().returncode == 0
    assert node.data == "newer", "once"


def test_the_old_data_is_kept_until_the_new_copy_is_whole(tmp_path: Path) -> None:
    node = Node(tmp_path, "keep")
    assert node.set_up(fails=True).returncode != 0
    assert (node.home / "old/standby.signal").read_text(encoding="utf-8") == "old\n"
    assert node.files == ["creating", "old"]
    assert node.set_up().returncode == 0
    assert (node.data, node.files) == ("new", ["created", "main"])


def test_a_copy_that_fails_is_tried_again_ever_less_often(tmp_path: Path) -> None:
    node = Node(tmp_path, "keep")
    for _ in range(3):
        assert "no space left" in node.set_up(fails=True).stderr
    refused = node.set_up()
    assert "tried 3 times: the next try is in " in refused.stderr
    long_ago = time.time() - 3600
    os.utime(node.home / "creating", (long_ago, long_ago))
    assert node.set_up().returncode == 0
    assert node.data == "new"


def test_a_person_may_drop_the_old_data_when_the_copy_fails(tmp_path: Path) -> None:
    node = Node(tmp_path, "keep")
    for _ in range(3):
        node.set_up(fails=True)
    (node.home / "rebuild").write_text("drop\n", encoding="utf-8")
    assert node.set_up(fails=True).returncode != 0, "at once"
    assert node.files == ["creating"]


def test_the_data_stays_when_the_other_node_is_no_longer_the_primary(tmp_path: Path) -> None:
    node = Node(tmp_path, "keep")
    node.alone = False
    done = node.set_up()
    assert done.returncode == 0, done.stderr
    assert "no new copy" in done.stderr
    assert (node.data, node.files) == ("old", ["created", "main"])


@pytest.mark.parametrize("alone", [True, False])
def test_power_lost_just_after_the_data_was_moved_loses_nothing(tmp_path: Path, alone: bool) -> None:
    node = Node(tmp_path, "keep")
    (node.home / "main").rename(node.home / "old")
    node.alone = alone
    assert node.set_up().returncode == 0
    assert (node.data, node.files) == ("new" if alone else "old", ["created", "main"])

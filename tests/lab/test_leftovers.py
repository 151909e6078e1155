"""The machine is as it was: after `down`, after the supervisor was killed, and after a start that was refused."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from lab import leftovers, process
from lab.hosts.cgroups import CgroupTree
from lab.lab import Lab
from lab.waiting import eventually
from spec.errors import HaError
from tests.lab.conftest import make_estate, options

pytestmark = pytest.mark.lab

# Parameters that change by themselves.
_LIVELY = (
    "random",
    "nr_",
    "file-nr",
    "quota.syncs",
    "inode",
    "dentry",
    "ns_last_pid",
    "netfilter.nf_conntrack_count",
    "pty.nr",
)


@dataclass(frozen=True)
class Snapshot:
    """What a lab could leave on a machine."""

    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    rules: frozenset[str]
    tables: frozenset[str]
    parameters: frozenset[str]
    run: frozenset[str]


def snapshot() -> Snapshot:
    """The machine as it is now."""

    def lines(*command: str) -> frozenset[str]:
        return frozenset(process.run(command, check=False).stdout.splitlines())

    parameters = lines("sysctl", "--all")
    run = {str(path) for path in Path("/run").rglob("*") if "user" not in path.parts}
    return Snapshot(
        mounts=frozenset(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()),
        links=lines("ip", "-brief", "link"),
        addresses=lines("ip", "-brief", "address"),
        routes=lines("ip", "route", "show", "table", "all"),
        rules=lines("ip", "rule"),
        tables=lines("nft", "list", "ruleset"),
        parameters=frozenset(line for line in parameters if not any(word in line for word in _LIVELY)),
        run=frozenset(run),
    )


def differences(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """What is there that was not, and what is gone, by kind."""
    return {
        field.name: sorted(getattr(before, field.name) ^ getattr(after, field.name))
        for field in fields(Snapshot)
        if getattr(before, field.name) != getattr(after, field.name)
    }


def traces(lab: Lab) -> list[str]:
    """Processes and loop devices that belong to the lab."""
    state = os.fsencode(lab.paths.state)
    found = [f"loop device {number}" for number in leftovers.attached(lab.paths.state)]
    found += [f"process {pid} in its group" for pid in CgroupTree(lab.paths.state).processes()]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if state in (entry / "cmdline").read_bytes():
                found.append(f"process {entry.name}")
        except OSError:
            continue
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab that is not started."""
    return Lab(tmp_path / "state")


@pytest.mark.parametrize("victim", ["supervisor", "first process"])
def test_killing_the_supervisor_leaves_nothing_and_the_next_lab_works(lab: Lab, victim: str) -> None:
    before = snapshot()
    try:
        lab.start(options())
        make_estate(lab).wait_for("app1", "ready")
        assert leftovers.attached(lab.paths.state)
        pid = lab.supervisor_pid()
        os.kill(pid if victim == "supervisor" else _parent(pid), signal.SIGKILL)
        eventually("nothing of it is left", lambda: not traces(lab), deadline_s=20)
        assert differences(before, snapshot()) == {}
        assert not lab.running()
        lab.start(options())
        make_estate(lab).wait_for("app1", "ready")
    finally:
        lab.stop()
    assert traces(lab) == []
    assert differences(before, snapshot()) == {}
    assert not lab.paths.state.exists()
    assert not [root for root in CgroupTree(lab.paths.state).roots if root.exists()]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def test_two_labs_in_one_place_are_refused(lab: Lab) -> None:
    try:
        lab.start(options())
        with pytest.raises(HaError, match="running already") as refused:
            lab.start(options())
        assert refused.value.exit_code == 2
        assert lab.running()
    finally:
        lab.stop()


def test_a_supervisor_that_hangs_is_ended_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.lab.END_S", 1.0)
    lab.start(options())
    os.kill(lab.supervisor_pid(), signal.SIGSTOP)
    monkeypatch.setattr("lab.supervisor.control.ANSWER_S", 1.0)
    lab.stop()
    assert traces(lab) == []
    assert not lab.running()


def test_ending_a_lab_that_does_not_run_is_no_error(lab: Lab) -> None:
    lab.stop()
    assert not lab.paths.state.exists()

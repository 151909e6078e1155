"""`ha lab down` while `ha lab up` applies the program, and after `up` was killed there: nothing of the lab is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.hosts.cgroups import CgroupTree
from lab.lab import Lab
from lab.waiting import eventually
from spec.project import PROJECT, REPOSITORY
from tests.lab.checkout import HA, STACK, run_ha
from tests.lab.conftest import free_ports
from tests.lab.test_leftovers import differences, snapshot, traces

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

APPLYING_S = 120.0
END_S = 30.0


@contextlib.contextmanager
def applying(lab: Lab, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ha lab up`, from when the engine has written its first state; killed at the end of the block."""
    ports = free_ports()
    up = [sys.executable, *HA, "lab", "up", "--bare-image"]
    with log.open("wb") as sink:
        child = subprocess.Popen(
            [*up, "--http-port", str(ports[80]), "--https-port", str(ports[443])],
            env={**os.environ, "HA_LAB_STATE": str(lab.paths.state), "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
        )
    written = lab.paths.engine / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json"

    def applies() -> bool:
        assert child.poll() is None, log.read_text(encoding="utf-8")
        return written.exists() and bool(CgroupTree(lab.paths.state).processes("engine"))

    try:
        eventually("the program is being applied", applies, deadline_s=APPLYING_S)
        yield child
    finally:
        child.kill()
        child.wait()


def of_engine(lab: Lab) -> list[str]:
    """Processes anywhere on the machine that have the engine's environment in this lab."""
    home = b"PULUMI_HOME=" + os.fsencode(lab.paths.engine)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended since
            if home in (entry / "environ").read_bytes():
                found.append(f"process {entry.name}")
    return found


@pytest.mark.parametrize("killed", [False, True], ids=["while up runs", "after up was killed"])
def test_nothing_is_left_and_the_next_lab_starts(tmp_path: Path, killed: bool) -> None:
    lab = Lab(tmp_path / "state")
    log = tmp_path / "up.log"
    before = snapshot()
    try:
        with applying(lab, log) as up:
            assert of_engine(lab)
            if killed:
                up.send_signal(signal.SIGKILL)
                up.wait()
                assert of_engine(lab)
            down = run_ha(["lab", "down"], project_dir=REPOSITORY, state=lab.paths.state)
            assert down.exit_code == 0, down.stderr
            # At once, not eventually: what lives on would write to the state that has just been removed.
            assert of_engine(lab) == []
            assert traces(lab) == []
            assert not lab.paths.state.exists()
            if not killed:
                assert up.wait(END_S) == 1
                output = log.read_text(encoding="utf-8")
                assert "ha: the lab was ended before the stack was up" in output
                assert "Traceback" not in output
        assert not lab.paths.state.exists()
        assert not lab.paths.lock.exists()
        assert not [root for root in CgroupTree(lab.paths.state).roots if root.exists()]
        assert differences(before, snapshot()) == {}
        with applying(lab, log):
            pass
    finally:
        lab.stop()
    assert traces(lab) == []
    assert not lab.paths.state.exists()

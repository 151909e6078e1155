"""The Ctrl-C that ends a drill does not end the programs that break and heal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from drills.deferred_signals import TERMINATION_SIGNALS
from drills.fault_injector import FaultInjector, NetworkPath
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import load_settings
from tests.stacks import STACKS

PATHS = [NetworkPath("db1", "monitor1")]


def injector_that_runs(program: list[str]) -> FaultInjector:
    """An injector that runs this program in place of each command."""
    lab = MagicMock()
    lab.in_fabric.return_value = lab.on_host.return_value = program
    return FaultInjector(lab, MagicMock(), load_settings(STACKS, "dev"))


ACTIONS: dict[str, Callable[[FaultInjector], object]] = {
    "block": lambda injector: injector.block(PATHS),
    "unblock": lambda injector: injector.unblock(),
    "run": lambda injector: injector.run("db1", "true"),
}


def test_a_ctrl_c_does_not_reach_them(tmp_path: Path) -> None:
    """Each action runs a program that ends only after the Ctrl-C, all in one process, as it takes long to start."""
    sent = tmp_path / "sent"
    script = f"cat > {tmp_path}/$0.begun; until [ -e {sent} ]; do sleep 0.01; done; touch {tmp_path}/$0.complete"
    code = (
        "import signal, threading; signal.signal(signal.SIGINT, lambda *_: None)\n"
        "from tests.unit.drills.test_fault_injector import ACTIONS, injector_that_runs\n"
        f"for name, action in ACTIONS.items():\n"
        f"    injector = injector_that_runs(['sh', '-c', {script!r}, name])\n"
        "    threading.Thread(target=action, args=(injector,)).start()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, start_new_session=True) as drill:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.begun"))) < len(ACTIONS) and drill.poll() is None:
            assert time.monotonic() < deadline, "the programs did not start"
            time.sleep(0.01)
        os.killpg(drill.pid, signal.SIGINT)
        sent.touch()
        assert drill.wait(30) == 0
    assert {path.stem for path in tmp_path.glob("*.complete")} == set(ACTIONS)


def test_a_crash_returns_when_the_host_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """To heal before would find the host running, and leave it off."""
    phases = iter(["ready", "booting", "crashed"])
    injector = injector_that_runs(["true"])
    monkeypatch.setattr(FaultInjector, "_phase", lambda self, host: next(phases))
    injector.crash("db1")
    assert next(phases, None) is None


@pytest.mark.parametrize("number", TERMINATION_SIGNALS, ids=lambda number: number.name)
def test_a_program_that_a_signal_hit_before_it_had_a_session_is_run_again(
    number: signal.Signals, tmp_path: Path
) -> None:
    hit, complete = tmp_path / "hit", tmp_path / "complete"
    script = f"[ -e {hit} ] || {{ touch {hit}; kill -{number.value} $$; }}; touch {complete}"
    injector_that_runs(["sh", "-c", script]).unblock()
    assert complete.exists()


def test_a_program_that_is_hit_each_time_fails() -> None:
    with pytest.raises(HaError, match="SIGTERM"):
        injector_that_runs(["sh", "-c", "kill -TERM $$"]).unblock()

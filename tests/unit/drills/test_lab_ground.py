"""What breaks and heals in the lab is not ended by the Ctrl-C that ends the drill."""

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

from drills.ground import Way
from drills.interrupts import ENDINGS
from drills.lab_ground import LabGround
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import load_settings

WAYS = [Way("db1", "monitor1")]


def ground_on(program: list[str]) -> LabGround:
    """A ground in whose lab every command is this one."""
    lab = MagicMock()
    lab.in_fabric.return_value = lab.on_host.return_value = program
    return LabGround(lab, MagicMock(), load_settings(REPOSITORY, "dev"))


ACTIONS: dict[str, Callable[[LabGround], object]] = {
    "block": lambda ground: ground.block(WAYS),
    "unblock": lambda ground: ground.unblock(),
    "run": lambda ground: ground.run("db1", "true"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_ctrl_c_does_not_reach_it(name: str, tmp_path: Path) -> None:
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    script = f"cat > {begun}; sleep 0.5; touch {whole}"
    code = (
        "import signal; signal.signal(signal.SIGINT, lambda *_: None)\n"
        "from tests.unit.drills.test_lab_ground import ACTIONS, ground_on\n"
        f"ACTIONS[{name!r}](ground_on(['sh', '-c', {script!r}]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, start_new_session=True) as drill:
        until = time.monotonic() + 30
        while not begun.exists() and drill.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(drill.pid, signal.SIGINT)
        assert drill.wait(30) == 0
    assert whole.exists()


def test_a_crash_is_over_when_the_host_is_known_to_be_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Healing that comes at once would find it running, and leave it off."""
    stages = iter(["ready", "booting", "crashed"])
    ground = ground_on(["true"])
    monkeypatch.setattr(LabGround, "_stage", lambda self, host: next(stages))
    ground.crash("db1")
    assert next(stages, None) is None


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_what_was_hit_before_it_had_a_session_is_started_again(number: signal.Signals, tmp_path: Path) -> None:
    hit, whole = tmp_path / "hit", tmp_path / "whole"
    ground_on(["sh", "-c", f"[ -e {hit} ] || {{ touch {hit}; kill -{number.value} $$; }}; touch {whole}"]).unblock()
    assert whole.exists()


def test_what_is_hit_again_and_again_fails() -> None:
    with pytest.raises(HaError, match="SIGTERM"):
        ground_on(["sh", "-c", "kill -TERM $$"]).unblock()

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cli.main import main


@dataclass(frozen=True)
class Ran:
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str


Ha = Callable[..., Ran]


@pytest.fixture
def ha(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ha:
    """Runs `ha` in this process: `ha("cost", "--json")`."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["ha", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return run

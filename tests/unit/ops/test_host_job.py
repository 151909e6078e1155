"""Long output and long work of a host, with the script that hosts really run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops import host_job
from ops.estate import CommandFailed, CommandResult
from ops.host_job import StillRuns
from spec.errors import HaError
from tests.unit.ops.this_machine import DB1, ThisMachine


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_job, "POLL_S", 0.0)


@pytest.fixture
def host(tmp_path: Path) -> Any:
    return ThisMachine(tmp_path)


def left(host: ThisMachine) -> list[str]:
    return [path.name for path in (host.folder / "run").glob("answer.*")]


def test_a_short_answer_takes_one_command(host: Any) -> None:
    assert host_job.read(host, DB1, "echo '{\"a\": 1}'") == b'{"a": 1}\n'
    assert len(host.commands) == 1
    assert left(host) == []


def test_an_answer_longer_than_ssm_shows_is_read_in_parts(host: Any) -> None:
    host.program("noise", "#!/bin/bash\nhead -c 70000 /dev/urandom | tee seen\n")
    read = host_job.read(host, DB1, f"cd {host.folder} && noise")
    assert read == (host.folder / "seen").read_bytes()
    assert len(host.commands) == 1 + 4 + 1  # 94 KB in base64, and the file is removed
    assert left(host) == []


def test_what_repeats_itself_takes_one_command_however_long(host: Any) -> None:
    assert host_job.read(host, DB1, "yes 20261201-120000F_20261201-180000I | head -n 20000").count(b"\n") == 20_000
    assert len(host.commands) == 1


def test_an_answer_that_is_cut_off_is_not_taken(host: Any) -> None:
    host.program("head", '#!/bin/bash\ncommand -p head "$@"; rm -f "${!#}"\n')  # as when the host restarts in between
    with pytest.raises(CommandFailed, match="cut off"):
        host_job.read(host, DB1, "cat /dev/urandom | command -p head -c 70000")


@pytest.mark.parametrize("printed", ["", "nonsense", "/run/ha/answer.x 8\nAAAAAAA=", "/etc/passwd; rm 8\nAAAAAAA="])
def test_an_answer_of_another_form_is_not_taken(printed: str, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "run", lambda *_, **__: CommandResult(0, printed, ""))
    with pytest.raises(CommandFailed, match="damaged"):
        host_job.read(host, DB1, "true")


def test_a_command_that_fails_is_told_in_its_last_words(host: Any) -> None:
    with pytest.raises(HaError, match=r"^no such stanza\n"):
        host_job.read(host, DB1, "echo partly; echo noise >&2; echo $'\\e[31mno such stanza' >&2; exit 3")
    assert left(host) == []


def test_a_job_gives_its_exit_code_and_both_outputs(host: Any) -> None:
    host_job.start(host, DB1, "ha-asked-x", 'echo "it\'s $HOME"; echo bad >&2; exit 3')
    done = host_job.wait(host, DB1, "ha-asked-x", lambda: None)
    assert done.exit_code == 3
    assert done.stdout.startswith("it's /")
    assert done.stderr == "bad\n"


def test_a_job_that_has_not_ended_is_not_started_again(host: Any) -> None:
    host.state("ha-asked-x", "active")
    with pytest.raises(StillRuns, match="ha-asked-x is still under way"):
        host_job.start(host, DB1, "ha-asked-x", "true")


def test_a_job_is_waited_for_and_an_older_result_is_not_taken(host: Any) -> None:
    host_job.start(host, DB1, "ha-asked-x", "echo old")
    (host.folder / "states" / "later").touch()
    host_job.start(host, DB1, "ha-asked-x", "echo new")
    looks: list[int] = []

    def meanwhile() -> None:
        looks.append(1)
        if len(looks) == 3:
            folder = host.folder / "run" / "jobs" / "ha-asked-x"
            (folder / "out").write_text("new\n", encoding="utf-8")
            (folder / "err").touch()
            (folder / "code").write_text("0\n", encoding="utf-8")

    assert host_job.wait(host, DB1, "ha-asked-x", meanwhile) == CommandResult(0, "new\n", "")
    assert len(looks) == 3


def test_a_job_that_was_ended_from_outside_is_said(host: Any) -> None:
    (host.folder / "states" / "later").touch()
    host_job.start(host, DB1, "ha-asked-x", "true")
    host.state("ha-asked-x", "inactive")
    with pytest.raises(CommandFailed, match="ended before it was done"):
        host_job.wait(host, DB1, "ha-asked-x", lambda: None)


def test_a_host_may_be_silent_for_a_while(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host_job.start(host, DB1, "ha-asked-x", "echo done")
    real, silent = host.run, [True, True]

    def run(*given: Any, **named: Any) -> CommandResult:
        if silent:
            silent.pop()
            raise CommandFailed("no answer within 60 s", where="i-db1")
        result: CommandResult = real(*given, **named)
        return result

    monkeypatch.setattr(host, "run", run)
    assert host_job.wait(host, DB1, "ha-asked-x", lambda: None).stdout == "done\n"
    monkeypatch.setattr(host_job, "SILENT_S", -1.0)
    silent.append(True)
    with pytest.raises(CommandFailed, match="the host is silent: no answer within 60 s"):
        host_job.wait(host, DB1, "ha-asked-x", lambda: None)

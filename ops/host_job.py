"""Long work and long output of a host. Run Command holds a command for an hour at most, and shows 24,000 characters.

A job is a systemd unit of its own on the host, which goes on when its operator does not. Output that may be long is
read compressed, and in parts.
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ops.estate import CommandFailed, CommandResult, Estate, Instance
from ops.runs import printable
from spec.errors import HaError

PART: Final = 20_000
"""Characters of one answer; SSM cuts off after 24,000."""
MAX_BYTES: Final = 64 * 2**20
"""More than any host has to say."""
POLL_S: Final = 2.0
SILENT_S: Final = 180.0
"""How long a host may be silent while it works."""
_COMMAND_S: Final = 60
_ANSWER: Final = re.compile(r"(/run/ha/answer\.\w+) (\d{1,9})\n([A-Za-z0-9+/=]*)")
JOBS: Final = "/run/ha/jobs"
"""A folder for each job, by its name: what it wrote to `out` and `err`, and once it has ended its exit `code`."""

_SCRIPT: Final = Path(__file__).with_name("host-job.sh").read_text(encoding="utf-8")
_UNDER_WAY: Final = 75


class StillRuns(HaError):
    """The job of this name was started before, and has not ended."""


def read(estate: Estate, on: Instance, command: str, *, timeout_s: int = _COMMAND_S) -> bytes:
    """What a shell command prints on a host, however long it is.

    :raises HaError: with the last line of its standard error when it fails.
    """
    done = _act(estate, on, "read", str(PART), command, timeout_s=timeout_s)
    if done.exit_code != 0:
        raise HaError(last_line(done) or f"it ended with exit code {done.exit_code}", where=on.host)
    answer = _ANSWER.fullmatch(done.stdout.strip())
    if answer is None:
        raise CommandFailed("its answer is cut off or damaged", where=on.host)
    path, length, text = answer[1], int(answer[2]), answer[3]
    if length > MAX_BYTES:
        raise CommandFailed(f"its answer has {length} bytes, more than {MAX_BYTES}", where=on.host)
    parts = length > len(text)
    while len(text) < length:
        more = estate.run(on.instance_id, f"tail -c +{len(text) + 1} {path} | head -c {PART}", timeout_s=_COMMAND_S)
        if not more.stdout.strip():
            raise CommandFailed("its answer is cut off", where=on.host)
        text += more.stdout.strip()
    if parts:
        estate.run(on.instance_id, f"rm -f {path}", timeout_s=_COMMAND_S)
    try:
        return zlib.decompressobj(wbits=31).decompress(base64.b64decode(text, validate=True), MAX_BYTES)
    except (binascii.Error, zlib.error):
        raise CommandFailed("its answer is damaged", where=on.host) from None


def start(estate: Estate, on: Instance, name: str, command: str) -> None:
    """Start a shell command as the unit `name`. :raises StillRuns: when an earlier one of that name has not ended."""
    done = _act(estate, on, "start", name, command)
    if done.exit_code == _UNDER_WAY:
        raise StillRuns(f"{name} is still under way", where=on.host)
    if done.exit_code != 0:
        raise CommandFailed(f"{name} cannot be started: {last_line(done)}", where=on.host)


def wait(estate: Estate, on: Instance, name: str, meanwhile: Callable[[], None]) -> CommandResult:
    """The result of a job once it has ended, with the last part of what it wrote to standard error.

    :param meanwhile: called between two looks, for its progress.
    :raises CommandFailed: when the job was ended from outside, or the host is silent for `SILENT_S`.
    """
    heard = time.monotonic()
    while True:
        try:
            state = _act(estate, on, "look", name).stdout.strip()
            heard = time.monotonic()
        except CommandFailed as failed:
            if time.monotonic() - heard > SILENT_S:
                raise CommandFailed(f"{name}: the host is silent: {failed.what}", where=on.host) from None
            state = "active"
        if re.fullmatch(r"\d{1,3}", state):
            out = read(estate, on, f"cat {JOBS}/{name}/out").decode(errors="replace")
            err = read(estate, on, f"tail -c 8000 {JOBS}/{name}/err").decode(errors="replace")
            return CommandResult(int(state), out, err)
        if state not in ("active", "activating", "deactivating"):
            raise CommandFailed(f"{name} was ended before it was done: the host restarted, or somebody stopped it")
        meanwhile()
        time.sleep(POLL_S)


def newest_line(estate: Estate, on: Instance, name: str) -> str:
    """The last whole line that a job wrote to standard error so far."""
    done = estate.run(on.instance_id, f"tail -c 2000 {JOBS}/{name}/err", timeout_s=_COMMAND_S)
    lines = printable(done.stdout.rpartition("\n")[0]).splitlines()
    return lines[-1].strip() if lines else ""


def last_line(done: CommandResult) -> str:
    """The last line of a command that failed, for a message."""
    said = printable(done.stderr.strip() or done.stdout).splitlines()
    return said[-1].strip()[-400:] if said else ""


def _act(estate: Estate, on: Instance, *words: str, timeout_s: int = _COMMAND_S) -> CommandResult:
    # SSM runs commands with sh.
    command = f"{shlex.join(['bash', '-s', *words])} <<'END'\n{_SCRIPT}END\n"
    return estate.run(on.instance_id, command, timeout_s=timeout_s)

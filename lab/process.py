"""The one place that starts other programs: a clean environment, no standard input, failures that name the program.

The caller's environment is never passed on: it may hold credentials, proxies and certificate paths of the machine, and
no part of the lab may depend on them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spec.errors import HaError

_BY_TERMINAL = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
"""Exit codes of a program that a signal of the terminal ended (Ctrl-C, or its end)."""
_STARTS = 3
_NO_SESSION_S = 1.0
"""A child has its session after that time: a later signal is not one of this terminal."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Argument = str | Path


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every child gets, and nothing else unless `extra` adds it."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(extra or {})}


@dataclass(frozen=True)
class Finished:
    """A program that ran to its end."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class ProgramFailed(HaError):
    """A program exited with an error, was killed, or took too long."""

    def __init__(self, finished: Finished, *, why: str = "") -> None:
        self.finished = finished
        program = Path(finished.argv[0]).name
        reason = why or _reason(finished.exit_code)
        last_lines = "\n".join((finished.stderr or finished.stdout).strip().splitlines()[-12:])
        super().__init__(f"{program} {reason}\n{last_lines}".rstrip(), where=" ".join(finished.argv)[:400])


def _reason(exit_code: int) -> str:
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"failed with exit code {exit_code}"


def run(
    argv: Sequence[Argument],
    *,
    check: bool = True,
    stdin: str | bytes | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    pass_fds: Sequence[int] = (),
    directory: Path | None = None,
    new_session: bool = False,
) -> Finished:
    """Runs a program to its end and returns what it printed.

    :param stdin: fed to it; without one it reads nothing.
    :param new_session: start it in a session of its own, so that signals of this terminal, such as Ctrl-C, do not
        reach it. One that comes before it has its session ends it before it has done anything: it is started again.
    :raises ProgramFailed: when it fails (unless `check` is false) or runs longer than `timeout_s` (always).
    """
    words = tuple(str(word) for word in argv)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        for _ in range(_STARTS):
            began = time.monotonic()
            done = subprocess.run(
                words,
                check=False,
                input=data if data is not None else b"",
                capture_output=True,
                env=clean_environment(environment),
                timeout=timeout_s,
                pass_fds=pass_fds,
                cwd=directory,
                start_new_session=new_session,
            )
            if not new_session or done.returncode not in _BY_TERMINAL or time.monotonic() - began > _NO_SESSION_S:
                break
    except FileNotFoundError as error:
        raise HaError(f"{words[0]} is not installed", where=" ".join(words)[:400]) from error
    except subprocess.TimeoutExpired as error:
        partial = Finished(words, -signal.SIGKILL, _text(error.stdout), _text(error.stderr))
        raise ProgramFailed(partial, why=f"did not end within {timeout_s:g} s") from error
    finished = Finished(words, done.returncode, _text(done.stdout), _text(done.stderr))
    if check and finished.exit_code != 0:
        raise ProgramFailed(finished)
    return finished


def interactive(argv: Sequence[Argument]) -> int:
    """Runs a program on this terminal to its end; returns its exit code. It gets a clean environment too."""
    environment = clean_environment({"TERM": os.environ.get("TERM", "dumb")})
    return subprocess.run([str(word) for word in argv], check=False, env=environment).returncode


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def start(
    argv: Sequence[Argument],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Starts a program that keeps running; what it prints is appended to `log`. The caller ends it (see `spawn`)."""
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=clean_environment(environment),
                pass_fds=pass_fds,
                start_new_session=new_session,
            )
        except FileNotFoundError as error:
            raise HaError(f"{words[0]} is not installed", where=" ".join(words)[:400]) from error


def converse(argv: Sequence[Argument]) -> subprocess.Popen[str]:
    """Starts a program to talk to over its standard input and output, line by line. The caller ends it."""
    words = [str(word) for word in argv]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment(), start_new_session=True
    )


@contextlib.contextmanager
def spawn(
    argv: Sequence[Argument],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stop_s: float = 2.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs for as long as the block does: asked to end with SIGTERM, killed after `stop_s`."""
    child = start(argv, log=log, environment=environment, pass_fds=pass_fds)
    try:
        yield child
    finally:
        stop(child, stop_s)


def stop(child: subprocess.Popen[bytes], stop_s: float = 2.0) -> None:
    """Ends a program: SIGTERM first, SIGKILL after `stop_s` seconds."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(stop_s)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()

"""Another revision of this repository: its files in a folder of their own, and what its program declares."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cost.resources import Registration, Resource, provider_resources
from spec.errors import EXIT_USAGE, HaError

TIMEOUT_S = 60
"""How long another revision's code may run: nobody waits for one that hangs."""
_RUNNER = Path(__file__).resolve().parent / "program.py"


@dataclass(frozen=True)
class Revision:
    """A commit and a folder with its files."""

    name: str
    commit: str
    folder: Path

    def has_stack(self, stack: str) -> bool:
        return (self.folder / f"Pulumi.{stack}.yaml").is_file()


@contextmanager
def checked_out(repository: Path, name: str) -> Iterator[Revision]:
    """The files of a revision, in a folder that is removed after the block. The repository is not changed.

    :raises HaError: (exit 2) when git does not know the revision.
    """
    commit = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is None:
        raise HaError(
            f"unknown git revision {name!r}",
            where="--base",
            fix="name a commit, branch or tag of this clone; fetch it first when the clone is shallow",
            exit_code=EXIT_USAGE,
        )
    archive = _git(repository, "archive", "--format=tar", commit.decode().strip())
    if archive is None:
        raise HaError(f"git cannot read revision {name!r}", where="--base", fix="run `git fsck`")
    with tempfile.TemporaryDirectory(prefix="ha-revision-") as temporary:
        folder = Path(temporary)
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:  # such as a link that leads out of the folder
            raise HaError(
                f"revision {name!r} cannot be unpacked: {error}",
                where="--base",
                fix="compare with another revision",
                exit_code=EXIT_USAGE,
            ) from None
        yield Revision(name, commit.decode().strip(), folder)


def edited_since(repository: Path, commit: str, paths: Sequence[str]) -> list[str]:
    """The files below `paths` that differ between a commit and what is in the repository's folder now."""
    found = _git(repository, "diff", "--name-only", "--no-renames", "-z", commit, "--", *paths)
    if found is None:
        raise HaError(f"git cannot compare with {commit[:12]}", where="--base", fix="run `git fsck`")
    return sorted(name for name in found.decode(errors="replace").split("\0") if name)


def untracked(repository: Path, paths: Sequence[str]) -> list[str]:
    """The files below `paths` that git does not know yet, and does not ignore."""
    found = _git(repository, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths) or b""
    return [name for name in found.decode(errors="replace").split("\0") if name]


class RunFailed(Exception):
    """Why a script gave no output."""


class ScriptRun:
    """A script on the files of another revision, running beside this process."""

    def __init__(self, revision: Revision, script: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "HOME": str(revision.folder)},
            cwd=revision.folder,
        )

    def output(self) -> bytes:
        """Waits for it. :raises RunFailed: with its error, or when it does not end in time."""
        try:
            output, errors = self._process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"it did not end in {TIMEOUT_S} s") from None
        if self._process.returncode != 0:
            raise RunFailed(_last_error(errors.decode(errors="replace")))
        return output

    def stop(self) -> None:
        """Ends it when it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class ProgramRun:
    """The program of another revision, running beside this process."""

    def __init__(self, revision: Revision, stack: str) -> None:
        self._what = f"the program of {revision.name} (stack {stack})"
        self._run = ScriptRun(revision, _RUNNER, str(revision.folder), stack)
        self.stop = self._run.stop

    def declared(self) -> list[Resource]:
        """Waits for it. :raises HaError: (exit 2) when the program fails, with its error."""
        try:
            output = self._run.output()
        except RunFailed as why:
            raise HaError(
                f"{self._what} failed: {why}",
                where="--base",
                fix="compare with a revision whose program runs",
                exit_code=EXIT_USAGE,
            ) from None
        return provider_resources([Registration(**{**r, "depends_on": ()}) for r in json.loads(output)])


def _last_error(errors: str) -> str:
    """Why a program failed: its refusal, with all its lines; otherwise the last line of its stack trace."""
    text = errors.strip()
    _, refusal, message = text.rpartition("RunError: ")
    return message if refusal else text.rpartition("\n")[2]


def _git(repository: Path, *arguments: str) -> bytes | None:
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout if done.returncode == 0 else None

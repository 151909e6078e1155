"""Errors that users see: what happened, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PROMISE_BROKEN = 3
EXIT_INTERRUPTED = 130


class HaError(Exception):
    """A mistake or a failure that a person reads, without a stack trace.

    :param what: what went wrong, in one sentence.
    :param where: the file, setting, host or command that it concerns.
    :param fix: what the reader can do now.
    :param exit_code: 1 for a failure, 2 for bad usage or settings, 3 for a broken promise or budget.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "", exit_code: int = EXIT_FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.exit_code = exit_code

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  do:    {self.fix}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One refused setting: its path, the given value, and what is allowed."""

    path: str
    given: str
    allowed: str

    def __str__(self) -> str:
        verdict = "given" if self.given == "nothing" else "refused"
        return f"{self.path}: {self.given} is {verdict}: {self.allowed}"


class SettingsError(HaError):
    """Settings that are not valid, with all problems at once. Exit code 2."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        what = f"{count} refused; nothing was created\n" + "\n".join(f"  - {p}" for p in self.problems)
        super().__init__(what, where=source, fix="fix the settings and run the command again", exit_code=EXIT_USAGE)

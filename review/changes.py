"""From a base revision and stacks to the document of `ha diff`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cost.revision import Revision, RunFailed, ScriptRun, checked_out, edited_since, untracked
from drills.budget import budgets
from review.document import Changes, HostChange, SettingChange, StackChange, TierChange
from review.file_diffs import tier_change
from review.hosts import host_changes, in_order
from review.rendered import Host, Rendered, Stack, rendered
from spec.changes import CHANGE_ORDER, leaves, refused
from spec.project import REPOSITORY
from spec.settings import Settings
from spec.stack_file import check_stack_name, found_stacks
from spec.tiers import Tier
from spec.timers import Timers

_SCRIPT = Path("review") / "rendered.py"
_NO_RELEASE = ("test/", "README.md", "eslint.config.js")
"""Of `app/`, what no release contains."""


def changes_of(
    base: str, names: Sequence[str] = (), *, stacks_dir: Path = REPOSITORY, repository: Path = REPOSITORY
) -> Changes:
    """This checkout against the revision `base`.

    :param names: the stacks; none: all that have a file here or in the base.
    :raises HaError: (exit 2) for what is no name of a stack, and when git does not know the revision.
    """
    for name in names:
        check_stack_name(name)
    with ExitStack() as cleanup:
        revision = cleanup.enter_context(checked_out(repository, base))
        here = found_stacks(stacks_dir)
        only_before = sorted(set(found_stacks(revision.folder)) - set(here))
        gone = [name for name in only_before if not names or name in names]
        wanted = [name for name in dict.fromkeys(names or here) if name not in gone]
        run = _BaseRun(revision, [name for name in wanted if revision.has_stack(name)])
        cleanup.callback(run.stop)
        head = rendered(wanted, stacks_dir)
        before, base_failed = run.result()
        release_sources = _changed_release_sources(repository, revision.commit)
        return Changes(
            base=f"{revision.name} ({revision.commit[:12]})",
            head="this checkout",
            base_failed=base_failed,
            program=_changed_program(repository, revision.commit),
            release=release_sources,
            gone=gone,
            unreadable=head.failed,
            stacks=[
                stack_change(
                    name, after, before.stacks.get(name), new=not revision.has_stack(name), sources=release_sources
                )
                for name, after in head.stacks.items()
            ],
        )


class _BaseRun:
    """`review/rendered.py` of another revision, running beside this process."""

    def __init__(self, revision: Revision, names: Sequence[str]) -> None:
        self._names = names
        script = revision.folder / _SCRIPT
        self._run = ScriptRun(revision, script, *names) if names and script.is_file() else None

    def result(self) -> tuple[Rendered, str]:
        """What it rendered, and why that is not all."""
        nothing = Rendered(stacks={}, failed={})
        if not self._names:
            return nothing, ""
        if self._run is None:
            return nothing, f"it has no {_SCRIPT}: it is older than `ha diff`"
        try:
            output = self._run.output()
        except RunFailed as why:
            return nothing, str(why) or "its program failed"
        try:
            found = Rendered.model_validate_json(output)
        except ValidationError:
            return nothing, "what it renders is of another version"
        return found, "; ".join(f"{name}: {why}" for name, why in found.failed.items())

    def stop(self) -> None:
        """Ends it when it still runs."""
        if self._run:
            self._run.stop()


def stack_change(name: str, after: Stack, before: Stack | None, *, new: bool = False, sources: str = "") -> StackChange:
    """What becomes of a stack. `sources`: why its release may be another one though its name stays."""
    old = {host.name: host for host in before.hosts} if before else {}
    now = {host.name: host for host in after.hosts}
    settings = _settings(before.settings, after.settings) if before else []
    another = any(one.name == "application.release" for one in settings)
    compared = before is not None or new
    hosts = host_changes(old, now, new_release=another or bool(sources), certain=another) if compared else []
    return StackChange(
        stack=name,
        new=new,
        compared=compared,
        refused=refused(before.settings, before.ports, Settings.model_validate(after.settings, strict=False))
        if before
        else [],
        settings=settings,
        tiers=[change for tier in CHANGE_ORDER if (change := _tier(tier, old, now)) is not None],
        hosts=hosts,
        writes_wait_ms=_writes_wait_ms(hosts, [side for side in (before, after) if side]),
    )


def _tier(tier: Tier, old: Mapping[str, Host], now: Mapping[str, Host]) -> TierChange | None:
    both = [host for name, host in now.items() if name in old and host.tier == tier]
    return tier_change(tier, old, now, [host.name for host in in_order(both)])


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[SettingChange]:
    before, after = leaves(old), leaves(new)

    def text(side: Mapping[str, Any], name: str) -> str | None:
        if name not in side:
            return None
        value = side[name]
        if isinstance(value, float):
            return f"{value:g}"
        return value if isinstance(value, str) else json.dumps(value)

    return [
        SettingChange(name=name, before=text(before, name), after=text(after, name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _writes_wait_ms(hosts: Sequence[HostChange], sides: Sequence[Stack]) -> int | None:
    """The longest wait, by the slower timers of both sides; None: the primary stays where it is."""
    of_db = [host for host in hosts if host.tier is Tier.DB]
    faults = {"db-switchover"} if any(host.hands_over for host in of_db) else set()
    faults |= {"db-stop"} if any(host.fate == "restarts" for host in of_db) else set()
    waits_ms = [
        budget.total_ms
        for side in sides
        for budget in budgets(Timers.model_validate(side.settings["timers"]))
        if budget.fault in faults
    ]
    return max(waits_ms, default=None)


def _changed_release_sources(repository: Path, commit: str) -> str:
    """Why application hosts may get another release though the setting stays: the sources of it differ."""
    paths = _changed(repository, commit, "app")
    sources = [path for path in paths if not path.removeprefix("app/").startswith(_NO_RELEASE)]
    if not sources:
        return ""
    return f"{_files(sources)} of app/ changed: when it is built, application hosts get another release if it differs"


def _changed_program(repository: Path, commit: str) -> str:
    """Why more may change than files and settings: the program itself differs."""
    paths = _changed(repository, commit, "__main__.py", "components", "spec")
    if not paths:
        return ""
    return (
        f"{_files(paths)} of the program changed (__main__.py, components/, spec/): what becomes of resources, and "
        "whether a host or a volume is replaced, is in `pulumi preview` alone"
    )


def _changed(repository: Path, commit: str, *paths: str) -> list[str]:
    """The files below these paths that differ from the commit, also those that git does not know yet."""
    return sorted({*edited_since(repository, commit, paths), *untracked(repository, paths)})


def _files(paths: Sequence[str]) -> str:
    return "1 file" if len(paths) == 1 else f"{len(paths)} files"

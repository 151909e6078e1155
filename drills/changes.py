"""Changes of the program that drills apply to a running estate, and what each `up` is expected to do with them.

A change is made in a copy of this checkout's program, so that a drill never edits a tracked file.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from drills.release_variants import ReleaseVariant, repack
from spec.project import REPOSITORY
from spec.tiers import Tier

_FOLDERS = ("components", "ops", "spec", "cloud-init")
_FILES = ("__main__.py", "Pulumi.yaml")
_RELEASES = Path("app/build")


class Expected(StrEnum):
    """What the `up` that applies a change shall do. The next one, of the checkout, shall always succeed."""

    APPLIED = "applied"
    """It succeeds: every host of the changed tiers runs the new version, and no other was touched."""
    REFUSED = "refused"
    """It fails and names host and reason. That host runs again what it ran, and no other was touched."""
    INTERRUPTED = "interrupted"
    """It is killed in the middle."""
    SETTLED = "settled"
    """It succeeds, or it fails and every host runs again what it ran."""


@dataclass(frozen=True)
class Edit:
    """The one place where a file of the program says `old`, and what it shall say instead."""

    path: str
    old: str
    new: str

    def apply(self, project_dir: Path) -> None:
        """:raises ValueError: when the file does not say `old` exactly once."""
        file = project_dir / self.path
        text = file.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path} says {self.old!r} {text.count(self.old)} times, not once")
        file.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is changed, of which tiers, and what is expected of the `up`."""

    name: str
    tiers: tuple[Tier, ...]
    edit: Edit | None = None
    release: ReleaseVariant | None = None
    expected: Expected = Expected.APPLIED
    reason: str = ""
    """A regular expression: what `up` says when it refuses the change."""

    def make(self, project_dir: Path) -> None:
        """Makes the change in a copy of the program."""
        if self.edit:
            self.edit.apply(project_dir)
        if self.release:
            for archive in (project_dir / _RELEASES).glob("*.tar.gz"):
                repack(archive, self.release)


@contextlib.contextmanager
def changed_program(change: Change) -> Iterator[Path]:
    """The folder of a copy of this checkout's program, with the change made in it; removed after the block."""
    with tempfile.TemporaryDirectory(prefix="ha-drill-") as folder:
        copy = Path(folder)
        for name in _FOLDERS:
            shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for source in (*(REPOSITORY / name for name in _FILES), *REPOSITORY.glob("Pulumi.*.yaml")):
            shutil.copy2(source, copy)
        (copy / _RELEASES).mkdir(parents=True)
        for archive in (REPOSITORY / _RELEASES).glob("*.tar.gz"):
            shutil.copy2(archive, copy / _RELEASES)
        change.make(copy)
        yield copy


_HAPROXY = "cloud-init/lb/files/etc/haproxy/haproxy.cfg.j2"
_APPLICATION_ENVIRONMENT = "cloud-init/app/files/etc/ha/application.env.j2"
_POSTGRESQL = "cloud-init/db/files/etc/ha/postgresql.d/10-ha.conf.j2"
_RELOAD_APP = Edit("cloud-init/app/files/etc/haproxy/haproxy.cfg.j2", "    maxconn 2000\n", "    maxconn 2001\n")
_RELOAD_DB = Edit(_POSTGRESQL, "log_min_duration_statement = '1s'", "log_min_duration_statement = '2s'")
_APP, _DB = (Tier.APP,), (Tier.DB,)

CHANGES: Mapping[str, Change] = {
    one.name: one
    for one in (
        Change(
            name="change-config-base",
            tiers=tuple(Tier),
            edit=Edit(
                "cloud-init/base/files/etc/default/prometheus-node-exporter.j2",
                " --collector.time ",
                " --collector.time --collector.entropy ",
            ),
        ),
        Change(
            name="change-config-lb", tiers=(Tier.LB,), edit=Edit(_HAPROXY, "hard-stop-after 60s", "hard-stop-after 61s")
        ),
        Change(name="change-config-app", tiers=_APP, edit=_RELOAD_APP),
        Change(
            name="change-restart-app",
            tiers=_APP,
            edit=Edit(_APPLICATION_ENVIRONMENT, "NODE_ENV=production\n", "NODE_ENV=production\nCHANGE_DRILL=1\n"),
        ),
        Change(name="change-config-db", tiers=_DB, edit=_RELOAD_DB),
        Change(
            name="change-restart-db",
            tiers=_DB,
            # Only a restart sets it. The standby need not have the primary's value, as it must of other such settings.
            edit=Edit(_POSTGRESQL, "wal_level = replica\n", "wal_level = replica\nmax_files_per_process = 900\n"),
        ),
        Change(
            name="change-config-cache",
            tiers=(Tier.CACHE,),
            edit=Edit("cloud-init/cache/files/etc/redis/redis.conf.j2", "tcp-keepalive 30", "tcp-keepalive 31"),
        ),
        Change(
            name="change-config-monitor",
            tiers=(Tier.MONITOR,),
            edit=Edit(
                "cloud-init/monitor/files/etc/prometheus/rules/ha.yml", "Always fires. Its absence", "Its absence"
            ),
        ),
        Change(
            name="change-config-broken",
            tiers=(Tier.LB,),
            edit=Edit(_HAPROXY, "hard-stop-after 60s", "hard-stop-after never"),
            expected=Expected.REFUSED,
            reason="step 40-haproxy .*failed",
        ),
        Change(name="change-release", tiers=_APP, release=ReleaseVariant.GOOD),
        *(
            Change(
                name=f"change-release-{variant}",
                tiers=_APP,
                release=variant,
                expected=Expected.REFUSED,
                reason="not healthy|50-application",
            )
            for variant in ReleaseVariant
            if variant is not ReleaseVariant.GOOD
        ),
        Change(name="change-interrupted", tiers=_APP, edit=_RELOAD_APP, expected=Expected.INTERRUPTED),
        Change(name="change-during-failover", tiers=_DB, edit=_RELOAD_DB, expected=Expected.SETTLED),
    )
}

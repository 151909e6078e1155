"""From `cloud-init/` to the files of one host. A tier's folder mirrors the host's file system: cloud-init/README.md."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from spec import limits, ports
from spec.addresses import HostPlan
from spec.errors import EXIT_USAGE, HaError
from spec.project import REPOSITORY
from spec.scope import Scope
from spec.secrets import parameter_prefix
from spec.settings import Settings
from spec.tiers import Tier

CLOUD_INIT_DIR = REPOSITORY / "cloud-init"
BASE = "base"
PAIR = "pair"
HOST_LIBRARY = PurePosixPath("/usr/local/lib/ha")


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that a template may use."""

    scope: Scope
    host: HostPlan
    hosts: tuple[HostPlan, ...]
    settings: Settings

    @cached_property
    def by_tier(self) -> dict[str, list[HostPlan]]:
        return {tier.value: [h for h in self.hosts if h.tier is tier] for tier in Tier}

    @property
    def folders(self) -> list[Path]:
        """The folders of the host's files; of two files with the same path, the later one counts."""
        own = CLOUD_INIT_DIR / self.host.tier.value
        pair = [own / PAIR] if self.settings.is_pair(self.host.tier) else []
        return [CLOUD_INIT_DIR / BASE, own, *(one for one in pair if one.is_dir())]

    def variables(self) -> dict[str, Any]:
        """The names that templates see."""
        scope = self.scope
        return {
            "project": scope.project,
            "stack": scope.stack,
            "region": scope.region,
            "account": scope.account,
            "artifact_bucket": scope.artifact_bucket,
            "alert_topic_arn": scope.alert_topic_arn,
            "secrets_path": parameter_prefix(scope.project, scope.stack),
            "backup_bucket": scope.backup_bucket,
            "backup_secrets_path": scope.backup_secrets_path,
            "backup_copy_region": scope.backup_copy_region or "",
            "host": self.host,
            "hosts": self.hosts,
            "by_tier": self.by_tier,
            "settings": self.settings,
            "timers": self.settings.timers,
            "ports": ports.by_name(),
            "limits": limits.by_name(),
            "vpc_cidr": self.settings.network.cidr,
            "data_volume": self.host.tier.traits.data_volume,
        }


@dataclass(frozen=True)
class HostFile:
    """A file of a host, by its absolute path there."""

    path: str
    content: str
    executable: bool


def host_files(context: Context) -> list[HostFile]:
    """Every file of the host, base files first, rendered.

    :raises HaError: (exit 2) for a file that is not text, and when a template uses an unknown name; it names the line.
    """
    found: dict[str, HostFile] = {}
    for folder in context.folders:
        for source, target in _placed(folder):
            content = render(source, context) if source.suffix == ".j2" else _text(source)
            executable = bool(source.stat().st_mode & 0o100) or target.is_relative_to(HOST_LIBRARY / "steps")
            found[str(target)] = HostFile(str(target), content, executable)
    packages = "".join(f"{name}\n" for folder in context.folders for name in listed(folder / "packages"))
    path = str(HOST_LIBRARY / "packages")
    found[path] = HostFile(path, packages, executable=False)
    return list(found.values())


def contexts(scope: Scope, settings: Settings) -> dict[str, Context]:
    """The context of every host of the estate, and of those that operations launch, by host name."""
    hosts = settings.plan_hosts()
    return {
        h.name: Context(scope=scope, host=h, hosts=hosts, settings=settings)
        for h in (*hosts, *settings.plan_on_demand())
    }


def listed(path: Path) -> list[str]:
    """The lines of a list file such as `packages`, without comments; empty when there is no such file."""
    if not path.is_file():
        return []
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _placed(folder: Path) -> Iterator[tuple[Path, PurePosixPath]]:
    """The files of a tier's folder, each with its path on the host."""
    for source in sorted((folder / "files").rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:
            relative = str(source.relative_to(folder / "files")).removesuffix(".j2")
            yield source, PurePosixPath("/") / relative
    for source in sorted((folder / "steps").glob("*.sh*")):
        yield source, HOST_LIBRARY / "steps" / source.name.removesuffix(".j2").removesuffix(".sh")


def _text(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise HaError(
            "a host's file is not text in UTF-8",
            where=str(source.relative_to(CLOUD_INIT_DIR.parent)),
            fix="put what is not text into the host's image or into the release",
            exit_code=EXIT_USAGE,
        ) from None


@cache
def _environment() -> jinja2.Environment:
    # This is not HTML, so nothing is escaped; the settings restrict types and characters of values.
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["sh"] = lambda value: shlex.quote(str(value))
    return environment


@cache
def _compiled(text: str) -> jinja2.Template:
    """Cached: compiling takes ten times as long as rendering, and every host of a tier has the same templates."""
    return _environment().from_string(text)


def render(source: Path, context: Context) -> str:
    """A template's text for a host. :raises HaError: (exit 2) when it uses an unknown name; it names file and line."""
    where = source.relative_to(CLOUD_INIT_DIR.parent)
    try:
        return _compiled(_text(source)).render(**context.variables())
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        raise HaError(
            f"a host's file cannot be rendered: {error}",
            where=f"{where}, line {line}" if line else str(where),
            fix="fix the template or the setting that it uses",
            exit_code=EXIT_USAGE,
        ) from None

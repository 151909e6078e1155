"""The services of a host and the files that each reads, out of its rendered files, as `ha-service` finds them there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from components.host_files import HOST_LIBRARY

SECTION: Final = "[X-Ha]"
_STEPS = f"{HOST_LIBRARY}/steps/"
_UNITS = "/etc/systemd/system/"
_CALL = re.compile(r"\bha-service (?:--dry-run )?([\w@.-]+)")
_AT_START = re.compile(r"^(?:EnvironmentFile=-?(/[^ \n]*)|ExecStart=(/usr/local/[^ \n]*))", re.MULTILINE)
"""What `ha-service` looks for in a unit as well."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service that the set-up of a host starts, and what changes it: cloud-init/README.md.

    `unit`: its name without `.service`. `own`: its unit and drop-ins, and the environment files and the program that
    they name; a change of one restarts it, as one of `restart_for` does. `reload_for` and `restart_for` are files and
    folders. Environment files and these may be of the bundle, or be written on the host. `before_restart`: commands,
    one a line; empty where nothing is handed over.
    """

    unit: str
    own: tuple[str, ...]
    reload_for: tuple[str, ...]
    restart_for: tuple[str, ...]
    before_restart: str


def services(files: Mapping[str, str]) -> dict[str, Service]:
    """The services of a host by unit, in the order in which its steps start them. `files`: text by path on the host."""
    return {unit: _service(unit, files) for unit in _called(files)}


def calls(script: str) -> list[str]:
    """The units, without `.service`, for which a shell script calls `ha-service`."""
    code = "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("#"))
    return [unit.removesuffix(".service") for unit in _CALL.findall(code)]


def _called(files: Mapping[str, str]) -> Iterator[str]:
    """By the steps, and by the programs that they name."""
    for step in sorted(path for path in files if path.startswith(_STEPS)):
        programs = [path for path in files if path.startswith("/usr/local/") and path in files[step]]
        for path in (step, *programs):
            yield from calls(files[path])


def _service(unit: str, files: Mapping[str, str]) -> Service:
    name = f"{_UNITS}{unit}.service"
    drop_ins = sorted(path for path in files if path.startswith(f"{name}.d/"))
    units = [path for path in (name, *drop_ins) if path in files]
    text = "\n".join(files[path] for path in units)
    at_start = [one or other for one, other in _AT_START.findall(text)]
    return Service(
        unit=unit,
        own=(*units, *dict.fromkeys(at_start)),
        reload_for=tuple(" ".join(_values(text, "ReloadFor")).split()),
        restart_for=tuple(" ".join(_values(text, "RestartFor")).split()),
        before_restart="\n".join(_values(text, "BeforeRestart")),
    )


def _values(text: str, key: str) -> Iterator[str]:
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line
        elif section == SECTION and line.startswith(f"{key}="):
            yield line.removeprefix(f"{key}=")

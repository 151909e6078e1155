"""What each host of a stack becomes by one revision of this repository.

As a script (`python -I review/rendered.py STACK...`) it prints that as JSON: `ha diff` runs the script of the revision
that it compares with, whose packages must not meet this one's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # -I leaves this checkout off the path
    sys.path[0:0] = [str(Path(__file__).resolve().parent.parent)]

from pydantic import BaseModel

from components.host_files import Context, contexts, host_files
from components.user_data import user_data
from spec import ports
from spec.errors import HaError
from spec.project import EXAMPLE_ACCOUNT_ID, PROJECT, REPOSITORY
from spec.scope import Scope
from spec.stack_file import load_settings


class File(BaseModel, frozen=True):
    """A file of a host."""

    content: str
    executable: bool


class Host(BaseModel, frozen=True):
    """A host: what its instance is, by EC2's names, and its files by their absolute paths."""

    name: str
    tier: str
    instance: dict[str, str]
    user_data: str
    files: dict[str, File]


class Stack(BaseModel, frozen=True):
    """A stack of one revision: its settings, its ports, its hosts in no order."""

    settings: dict[str, Any]
    ports: dict[str, int]
    hosts: list[Host]


class Rendered(BaseModel, frozen=True):
    """The stacks of one revision by name. `failed`: why a stack cannot be rendered."""

    version: Literal[1] = 1
    stacks: dict[str, Stack]
    failed: dict[str, str]


def rendered(names: Sequence[str], stacks_dir: Path = REPOSITORY) -> Rendered:
    """The named stacks of this checkout."""
    stacks: dict[str, Stack] = {}
    failed: dict[str, str] = {}
    for name in names:
        try:
            stacks[name] = _stack(name, stacks_dir)
        except HaError as error:
            failed[name] = str(error)
    return Rendered(stacks=stacks, failed=failed)


def _stack(name: str, stacks_dir: Path) -> Stack:
    settings = load_settings(stacks_dir, name)
    scope = Scope.of(settings, partition="aws", account=EXAMPLE_ACCOUNT_ID, project=PROJECT, stack=name)
    return Stack(
        settings=settings.model_dump(mode="json") | {"budget_monthly_usd": float(settings.budget_monthly_usd)},
        ports=dict(ports.by_name()),
        hosts=[_host(one) for one in contexts(scope, settings).values() if not one.host.tier.traits.on_demand],
    )


def _host(context: Context) -> Host:
    plan, settings = context.host, context.settings
    machines = settings.hosts_of(plan.tier)
    volume_gib = settings.data_volume_gib(plan.tier)
    return Host(
        name=plan.name,
        tier=plan.tier.value,
        instance={
            "image": settings.image.name,
            "image owner": settings.image.owner,
            "zone": plan.zone,
            "private_ip": str(plan.address),
            "second private_ip": str(plan.second_address or ""),
            "instance_type": machines.machine.name,
            "architecture": machines.machine.architecture,
            "root volume GiB": str(machines.root_volume_gib),
            "data volume GiB": str(volume_gib or ""),
        },
        user_data=user_data(context),
        files={file.path: File(content=file.content, executable=file.executable) for file in host_files(context)},
    )


if __name__ == "__main__":
    sys.stdout.write(rendered(sys.argv[1:]).model_dump_json())

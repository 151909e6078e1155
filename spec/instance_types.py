"""The EC2 instance types that the estate may use: architecture, processors and memory of each.

The table (`instance_types.json`) is an extract of EC2's DescribeInstanceTypes: current general, compute and memory
families on Nitro, up to 4xlarge.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Architecture = Literal["x86_64", "arm64"]


@dataclass(frozen=True)
class InstanceType:
    """An instance type's properties that the estate uses."""

    name: str
    architecture: Architecture
    vcpus: int
    memory_mib: int

    @property
    def burstable(self) -> bool:
        """Whether it uses CPU credits (the t families)."""
        return self.name.startswith("t")


@cache
def catalogue() -> dict[str, InstanceType]:
    rows = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return {name: InstanceType(name=name, **row) for name, row in rows.items()}


def instance_type(name: str) -> InstanceType:
    """The named type. :raises KeyError: when it is not in the catalogue; the message names similar ones."""
    try:
        return catalogue()[name]
    except KeyError:
        near = difflib.get_close_matches(name, catalogue(), n=3, cutoff=0.0)
        raise KeyError(f"not in the catalogue of instance types; similar ones: {', '.join(near)}") from None

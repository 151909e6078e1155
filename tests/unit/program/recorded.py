"""Runs the project's own program under Pulumi's mocks and records every resource that it registers.

A mock cannot show a diff, a replacement or an import; `tests/engine` does.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks

from components.stack_file import PROJECT, read_stack_config

PROJECT_DIR = Path(__file__).resolve().parents[3]
ACCOUNT = "123456789012"
IMAGE_ID = "ami-0123456789abcdef0"


@dataclass(frozen=True)
class Resource:
    """One registration, as the program sent it."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    protect: bool
    delete_before_replace: bool
    depends_on: tuple[str, ...]
    urn: str

    @property
    def is_component(self) -> bool:
        return self.type.startswith(f"{PROJECT}:")


@dataclass
class Program:
    """What a run of the program declared."""

    resources: list[Resource] = field(default_factory=list)
    registered_outputs: set[str] = field(default_factory=set)

    def of(self, type_: str) -> list[Resource]:
        return [r for r in self.resources if r.type == type_]

    def named(self, type_: str, name: str) -> Resource:
        (found,) = [r for r in self.of(type_) if r.name == name]
        return found


class _Aws(mocks.Mocks):
    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = {**args.inputs, "arn": f"arn:aws:mock:::{args.name}"}
        if args.typ == "aws:ec2/eip:Eip":
            state["publicIp"] = "203.0.113.10"
        if args.typ in ("aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile"):
            state["name"] = args.name
        return f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        answers: dict[str, dict[str, Any]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "arn": "", "id": "", "userId": ""},
            "aws:index/getPartition:getPartition": {"partition": "aws", "id": "aws"},
            "aws:ec2/getAmi:getAmi": {"id": IMAGE_ID, "architecture": "x86_64"},
        }
        return answers[args.token], []


def run_program(stack: str, **changes: Any) -> Program:
    """Runs `__main__.py` for a stack of this repository.

    :param changes: top-level settings that replace the stack's own.
    :raises: whatever the program raises.
    """
    config = read_stack_config(PROJECT_DIR, stack)
    settings = {**config[f"{PROJECT}:settings"], **changes}
    pulumi.runtime.set_all_config({**config, f"{PROJECT}:settings": json.dumps(settings)})
    program = Program()
    register, register_outputs = mocks.MockMonitor.RegisterResource, mocks.MockMonitor.RegisterResourceOutputs

    def recording(self: mocks.MockMonitor, request: Any) -> Any:
        answer = register(self, request)  # type: ignore[no-untyped-call]
        program.resources.append(
            Resource(
                type=request.type,
                name=request.name,
                inputs=json_format.MessageToDict(request.object),
                parent=request.parent,
                protect=request.protect,
                delete_before_replace=request.deleteBeforeReplace,
                depends_on=tuple(request.dependencies),
                urn=answer.urn,
            )
        )
        return answer

    def recording_outputs(self: mocks.MockMonitor, request: Any) -> Any:
        program.registered_outputs.add(request.urn)
        return register_outputs(self, request)  # type: ignore[no-untyped-call]

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        runpy.run_path(str(PROJECT_DIR / "__main__.py"), run_name="__main__")

    with (
        patch.object(mocks.MockMonitor, "RegisterResource", recording),
        patch.object(mocks.MockMonitor, "RegisterResourceOutputs", recording_outputs),
    ):
        mocks.set_mocks(_Aws(), project=PROJECT, stack=stack, preview=False)
        run()
    return program

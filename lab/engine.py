"""Runs the real Pulumi engine with the project's own program against the lab's AWS.

Each operation runs in a process of its own (`lab.engine_worker`): a clean environment, fresh modules, and nothing of
the engine left in the caller. State, the lab's own project file, the provider's plugin folder and the passphrase are in
the lab's state folder; the checkout's stack files are read, never written.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import lock, process
from lab.aws.service import operator_environment
from lab.pulumi_cli import find_pulumi
from lab.supervisor.config import StatePaths
from spec import overrides
from spec.errors import HaError, Problem, SettingsError
from spec.project import PROJECT, REPOSITORY
from spec.stack_file import REGION_KEY, read_stack_config

_INTERRUPT_S = 30


@dataclass(frozen=True)
class Step:
    """One resource's operation. `op` as the engine names it: create, update, replace, delete, same, ..."""

    op: str
    urn: str
    status: str
    """`started`, `done` or `failed`."""

    @property
    def type(self) -> str:
        """The resource's type token, e.g. `aws:ec2/instance:Instance`."""
        return self.urn.split("::")[-2].rpartition("$")[2]

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return self.urn.split("::")[-1]


@dataclass(frozen=True)
class Message:
    """A message of the engine or of the program; its severity is `info`, `warning` or `error`."""

    severity: str
    text: str
    urn: str = ""


Event = Step | Message
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class PropertyChange:
    """One changed property, by its path. `kind`: add, update or delete, with `-replace` where it replaces."""

    path: str
    kind: str
    old: Any
    new: Any


@dataclass(frozen=True)
class ResourceChange:
    """What an update would do to a resource. `op`: create, update, replace or delete."""

    urn: str
    op: str
    properties: tuple[PropertyChange, ...] = ()

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return self.urn.split("::")[-1]

    @property
    def type(self) -> str:
        """The resource's type token."""
        return self.urn.split("::")[-2].rpartition("$")[2]


@dataclass(frozen=True)
class Changes:
    """What an update would do. It is false when that is nothing."""

    resources: tuple[ResourceChange, ...] = ()
    same: int = 0

    def __bool__(self) -> bool:
        return bool(self.resources)

    def as_json(self) -> dict[str, Any]:
        """For `ha lab preview --json`."""
        return {
            "changes": [{**asdict(one), "name": one.name, "type": one.type} for one in self.resources],
            "same": self.same,
        }


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Drives the engine for the stacks of a project in a lab.

    :param project_dir: the checkout: its `__main__.py`, `Pulumi.yaml` and `Pulumi.<stack>.yaml`.
    :param state_dir: the lab's folder (`leftovers.make_state`); the engine's files are in `engine/` in it.
    :param endpoint_url: the lab's AWS, as seen by the engine.
    :param prefix: put before the command line of every process, e.g. `("nsenter", "--net=/proc/42/ns/net")`.
    """

    project_dir: Path
    state_dir: Path
    endpoint_url: str
    prefix: Sequence[str] = ()

    def up(self, stack: str, on_event: OnEvent | None = None) -> dict[str, Any]:
        """Apply the program. Returns the stack's outputs.

        :raises HaError: the one that the program raised, or why the engine failed.
        """
        outputs: dict[str, Any] = self._run("up", stack, on_event)["outputs"]
        return outputs

    def preview(self, stack: str, on_event: OnEvent | None = None) -> Changes:
        """What `up` would do now. :raises HaError: as `up` does."""
        result = self._run("preview", stack, on_event)
        return Changes(
            resources=tuple(
                ResourceChange(one["urn"], one["op"], tuple(PropertyChange(**change) for change in one["properties"]))
                for one in result["resources"]
            ),
            same=result["same"],
        )

    def destroy(self, stack: str, on_event: OnEvent | None = None) -> None:
        """Delete all resources of the stack; the program runs too, so that its hooks do. :raises HaError:"""
        self._run("destroy", stack, on_event)

    def outputs(self, stack: str) -> dict[str, Any]:
        """The outputs of the last `up`, from the state; empty when there was none."""
        for resource in self._resources(stack):
            if resource["type"] == "pulumi:pulumi:Stack":
                return dict(resource.get("outputs") or {})
        return {}

    def export(self, stack: str) -> dict[str, Any]:
        """The stack's state as the engine keeps it, secrets encrypted; empty when there is none."""
        path = self._state_file(stack)
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    @property
    def _folder(self) -> Path:
        return StatePaths(self.state_dir).engine

    def _state_file(self, stack: str) -> Path:
        return self._folder / "state" / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"

    def _resources(self, stack: str) -> list[dict[str, Any]]:
        latest = (self.export(stack).get("checkpoint") or {}).get("latest") or {}
        return list(latest.get("resources") or [])

    def _run(self, operation: str, stack: str, on_event: OnEvent | None) -> dict[str, Any]:
        config = read_stack_config(self.project_dir, stack)
        with self._alone(operation) as held:
            self._prepare(stack, config)
            request = {
                "operation": operation,
                "stack": stack,
                "project_dir": str(self.project_dir),
                "work_dir": str(self._folder / "project"),
                "pulumi": str(find_pulumi()),
                "known": self._state_file(stack).is_file(),
            }
            return self._work(request, str(config.get(REGION_KEY) or ""), held, on_event)

    @contextmanager
    def _alone(self, operation: str) -> Iterator[int]:
        """Allows one operation at a time, and removes the lock that an interrupted engine left in its state.

        Yields the lock's file descriptor. The worker inherits it, as it may outlive a caller that is killed.
        """
        with ExitStack() as stack:
            path = StatePaths(self.state_dir).engine_lock
            try:
                held = stack.enter_context(lock.held(path, doing=operation, wait_s=0))
            except BlockingIOError:
                raise HaError(
                    "another operation of the engine is running in this lab",
                    where=str(self._folder),
                    fix="wait until it has ended",
                ) from None
            except FileNotFoundError as error:
                raise HaError("the lab has ended", where=str(self.state_dir), fix="`ha lab up` starts one") from error
            shutil.rmtree(self._folder / "state" / ".pulumi" / "locks", ignore_errors=True)
            yield held

    def _prepare(self, stack: str, config: Mapping[str, Any]) -> None:
        for name in ("project", "plugin", "state", "home"):
            (self._folder / name).mkdir(exist_ok=True)
        passphrase = self._folder / "passphrase"
        if not passphrase.exists():
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(32), encoding="utf-8")
        plugin = self._folder / "plugin" / "pulumi-resource-aws"
        plugin.write_text(
            f"#!/bin/sh\nPYTHONPATH='{REPOSITORY}' exec '{sys.executable}' -P -m lab.provider \"$@\"\n",
            encoding="utf-8",
        )
        plugin.chmod(0o755)
        project = yaml.safe_load((self.project_dir / "Pulumi.yaml").read_text(encoding="utf-8"))
        project |= {
            "runtime": "python",
            "backend": {"url": f"file://{self._folder / 'state'}"},
            # Not in the checkout's own project file: it would replace the provider of real deployments.
            "plugins": {"providers": [{"name": "aws", "path": str(plugin.parent)}]},
        }
        _write_yaml(self._folder / "project" / "Pulumi.yaml", project)
        settings_file = self._folder / "project" / f"Pulumi.{stack}.yaml"
        document: dict[str, Any] = {"config": dict(config)}
        if settings_file.is_file():
            before = yaml.safe_load(settings_file.read_text(encoding="utf-8")) or {}
            document |= {key: before[key] for key in ("encryptionsalt",) if key in before}
        _write_yaml(settings_file, document)

    def _work(self, request: dict[str, Any], region: str, held: int, on_event: OnEvent | None) -> dict[str, Any]:
        reader, writer = os.pipe()
        log = self._folder / "engine.log"
        # -P: modules are found by PYTHONPATH alone, not in the current folder.
        argv = [*self.prefix, sys.executable, "-P", "-m", "lab.engine_worker", str(writer), json.dumps(request)]
        try:
            environment = self._child_environment(region)
            child = process.start(argv, log=log, environment=environment, pass_fds=(writer, held))
        finally:
            os.close(writer)
        try:
            with os.fdopen(reader, encoding="utf-8") as lines:
                kind, answer = _follow(lines, on_event)
            child.wait()
        finally:
            _end(child)
        if kind == "refused":
            raise _refusal(answer)
        if kind != "result":
            raise HaError(
                f"the engine's process ended with exit code {child.returncode} before it was done",
                where=str(log),
                fix="read its log",
            )
        return answer

    def _child_environment(self, region: str) -> dict[str, str]:
        return {
            **operator_environment(self.endpoint_url, region),
            **{name: os.environ[name] for name in overrides.NAMES if name in os.environ},
            # The project's own modules come before those that the lab runs with.
            "PYTHONPATH": f"{self.project_dir}:{REPOSITORY}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self._folder / "home"),
            "PULUMI_HOME": str(self._folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._folder / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "NO_COLOR": "1",
        }


def _write_yaml(path: Path, document: Any) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _follow(lines: Iterator[str], on_event: OnEvent | None) -> tuple[str, dict[str, Any]]:
    """Passes events on. Returns how it ended: `result` or `refused` with its body, or "" when the worker was killed."""
    ended: tuple[str, dict[str, Any]] = ("", {})
    for line in lines:
        kind, body = json.loads(line)
        if kind in ("result", "refused"):
            ended = (kind, body)
        elif on_event is not None:
            on_event(Step(**body) if kind == "step" else Message(**body))
    return ended


def _refusal(body: dict[str, Any]) -> HaError:
    if body.get("problems"):
        return SettingsError(body["where"], [Problem(**problem) for problem in body["problems"]])
    return HaError(body["what"], where=body["where"], fix=body["fix"], exit_code=body["exit_code"])


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a worker that is still running. SIGINT comes first, so that the engine can write its state."""
    if child.poll() is not None:
        return
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(_INTERRUPT_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

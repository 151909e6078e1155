"""One operation of the engine, in a process of its own; see `lab.engine`.

Started with a file descriptor to write JSON lines to (events, then a result or a refusal) and the request as JSON.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation as auto
from pulumi.automation import EngineEvent

from spec.errors import HaError, SettingsError
from spec.project import PROJECT

Tell = Callable[[str, Any], None]
UNKNOWN_VALUES = {
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
}
UNKNOWN = "(known after the update)"
_LONGEST = 200
_REPEATED = ("update failed", "preview failed", "destroy failed")
_REPLACING = ("replace", "create-replacement", "delete-replaced")
_PATH = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


class Program:
    """The project's own program, and what it refused."""

    def __init__(self, project_dir: Path) -> None:
        self._project_dir = project_dir
        self.refused: HaError | None = None

    def __call__(self) -> None:
        try:
            runpy.run_path(str(self._project_dir / "__main__.py"), run_name="__main__")
        except HaError as refused:
            self.refused = refused
            raise pulumi.RunError(str(refused)) from None
        except pulumi.RunError as error:
            # The program tells refusals in Pulumi's way; the lab tells them in its own.
            if isinstance(error.__context__, HaError):
                self.refused = error.__context__
            raise


class Watcher:
    """Turns the engine's events into the lab's, and remembers what they amount to."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.errors: list[tuple[str, str]] = []
        self.changes: dict[str, dict[str, Any]] = {}
        self.same = 0

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self._change(event.resource_pre_event.metadata)
            self._step(event.resource_pre_event.metadata, "started")
        elif event.res_outputs_event:
            self._step(event.res_outputs_event.metadata, "done")
        elif event.res_op_failed_event:
            self._step(event.res_op_failed_event.metadata, "failed")
        elif event.diagnostic_event:
            said = event.diagnostic_event
            text = re.sub(r"<\{%.*?%\}>", "", said.message).strip()
            severity = said.severity.removeprefix("info#") or "info"
            if text and severity in ("info", "warning", "error"):
                if severity == "error":
                    self.errors.append((said.urn or "", text))
                self._tell("message", {"severity": severity, "text": text, "urn": said.urn or ""})

    def _step(self, metadata: Any, status: str) -> None:
        self._tell("step", {"op": str(_op(metadata)), "urn": metadata.urn, "status": status})

    def _change(self, metadata: Any) -> None:
        op = _op(metadata)
        if metadata.type.startswith("pulumi:providers:"):
            return
        if op in ("same", "read", "refresh"):
            self.same += op == "same"
            return
        replaced = op in _REPLACING
        change = self.changes.setdefault(
            metadata.urn, {"urn": metadata.urn, "op": "replace" if replaced else op, "properties": []}
        )
        if replaced:
            change["op"] = "replace"
        if metadata.detailed_diff and not change["properties"]:
            change["properties"] = [
                {
                    "path": path,
                    "kind": str(getattr(diff.diff_kind, "value", diff.diff_kind)),
                    "old": _value_at(metadata.old, path),
                    "new": _value_at(metadata.new, path),
                }
                for path, diff in sorted(metadata.detailed_diff.items())
            ]


def _op(metadata: Any) -> str:
    return str(getattr(metadata.op, "value", metadata.op))


def _value_at(state: Any, path: str) -> Any:
    """A property of a step's state by its path, inputs before outputs; None where it is not."""
    for values in (state.inputs, state.outputs) if state is not None else ():
        found: Any = values
        for name, index, key in _PATH.findall(path):
            if index:
                found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else None
            else:
                found = found.get(name or key) if isinstance(found, dict) else None
        if found is not None:
            return _shown(found)
    return None


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        if value in UNKNOWN_VALUES:
            return UNKNOWN
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}... ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value


class Command(auto.PulumiCommand):
    """The CLI at a given path, of whose version the caller has made sure: asking it once more takes a while."""

    def __init__(self, path: str) -> None:
        from pulumi._version import version

        self.command = path
        self.version = version


def select(request: dict[str, Any], program: Program) -> auto.Stack:
    """The stack in the lab's own project folder, made when it is not known yet."""
    options = auto.LocalWorkspaceOptions(work_dir=request["work_dir"], pulumi_command=Command(request["pulumi"]))
    choose = auto.select_stack if request["known"] else auto.create_stack
    return choose(request["stack"], project_name=PROJECT, program=program, opts=options)


def work(request: dict[str, Any], tell: Tell) -> None:
    """Do what is asked and tell how it went."""
    program = Program(Path(request["project_dir"]))
    watcher = Watcher(tell)
    os.chdir(request["project_dir"])
    try:
        stack = select(request, program)
        match request["operation"]:
            case "up":
                done = stack.up(on_event=watcher, color="never", suppress_outputs=True)
                tell("result", {"outputs": {name: output.value for name, output in done.outputs.items()}})
            case "preview":
                stack.preview(on_event=watcher, color="never")
                tell("result", {"resources": list(watcher.changes.values()), "same": watcher.same})
            case "destroy":
                stack.destroy(on_event=watcher, color="never", run_program=True)
                tell("result", {})
            case unknown:
                raise ValueError(f"no such operation: {unknown}")
    except auto.CommandError as error:
        tell("refused", refusal(program, watcher, error, request))


def refusal(program: Program, watcher: Watcher, error: auto.CommandError, request: dict[str, Any]) -> dict[str, Any]:
    """What went wrong: the program's own refusal, else what the engine said of resources, else its output."""
    refused = program.refused
    if refused is not None:
        problems = [vars(problem) for problem in refused.problems] if isinstance(refused, SettingsError) else []
        return {
            "what": refused.what,
            "where": refused.where,
            "fix": refused.fix,
            "exit_code": refused.exit_code,
            "problems": problems,
        }
    said = [(urn.split("::")[-1] if "::" in urn else "", text) for urn, text in watcher.errors]
    # The engine repeats at the stack that the update failed; the reason is at a resource.
    reasons = [f"{name}: {text}" if name else text for name, text in said if text not in _REPEATED]
    what = "\n".join(dict.fromkeys(reasons)) or "\n".join(str(error).strip().splitlines()[-20:])
    return {
        "what": f"the engine could not {request['operation']} the stack {request['stack']}\n{what}",
        "where": f"Pulumi.{request['stack']}.yaml",
        "fix": "",
        "exit_code": 1,
        "problems": [],
    }


def main() -> None:
    """Entry point: FILE_DESCRIPTOR REQUEST."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as pipe:

        def tell(kind: str, body: Any) -> None:
            pipe.write(json.dumps([kind, body], default=str) + "\n")
            pipe.flush()

        work(json.loads(sys.argv[2]), tell)


if __name__ == "__main__":
    main()

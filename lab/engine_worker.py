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

Report = Callable[[str, Any], None]
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
    """Runs the project's own program and keeps the HaError that it raised."""

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
            # The program turns an HaError into Pulumi's error; the lab reports the HaError.
            if isinstance(error.__context__, HaError):
                self.refused = error.__context__
            raise


class Watcher:
    """Turns the engine's events into the lab's, and collects errors and changes."""

    def __init__(self, report: Report) -> None:
        self._report = report
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
            message = event.diagnostic_event
            text = re.sub(r"<\{%.*?%\}>", "", message.message).strip()
            severity = message.severity.removeprefix("info#") or "info"
            if text and severity in ("info", "warning", "error"):
                if severity == "error":
                    self.errors.append((message.urn or "", text))
                self._report("message", {"severity": severity, "text": text, "urn": message.urn or ""})

    def _step(self, metadata: Any, status: str) -> None:
        self._report("step", {"op": str(_op(metadata)), "urn": metadata.urn, "status": status})

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
    """The CLI at a given path. The caller has checked its version; to ask the CLI again takes a while."""

    def __init__(self, path: str) -> None:
        from pulumi._version import version

        self.command = path
        self.version = version


def select(request: dict[str, Any], program: Program) -> auto.Stack:
    """The stack in the lab's own project folder, made when it is not known yet."""
    options = auto.LocalWorkspaceOptions(work_dir=request["work_dir"], pulumi_command=Command(request["pulumi"]))
    choose = auto.select_stack if request["known"] else auto.create_stack
    return choose(request["stack"], project_name=PROJECT, program=program, opts=options)


def work(request: dict[str, Any], report: Report) -> None:
    """Run the operation and report how it ended."""
    program = Program(Path(request["project_dir"]))
    watcher = Watcher(report)
    os.chdir(request["project_dir"])
    try:
        stack = select(request, program)
        match request["operation"]:
            case "up":
                done = stack.up(on_event=watcher, color="never", suppress_outputs=True)
                report("result", {"outputs": {name: output.value for name, output in done.outputs.items()}})
            case "preview":
                stack.preview(on_event=watcher, color="never")
                report("result", {"resources": list(watcher.changes.values()), "same": watcher.same})
            case "destroy":
                stack.destroy(on_event=watcher, color="never", run_program=True)
                report("result", {})
            case unknown:
                raise ValueError(f"no such operation: {unknown}")
    except auto.CommandError as error:
        report("refused", refusal(program, watcher, error, request))


def refusal(program: Program, watcher: Watcher, error: auto.CommandError, request: dict[str, Any]) -> dict[str, Any]:
    """What went wrong: the program's own error, else the engine's errors of resources, else its output."""
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
    errors = [(urn.split("::")[-1] if "::" in urn else "", text) for urn, text in watcher.errors]
    # The engine also reports at the stack that the update failed; the reason is reported at a resource.
    reasons = [f"{name}: {text}" if name else text for name, text in errors if text not in _REPEATED]
    what = "\n".join(dict.fromkeys(reasons)) or "\n".join(str(error).strip().splitlines()[-20:])
    return {
        "what": f"pulumi {request['operation']} of the stack {request['stack']} failed\n{what}",
        "where": f"Pulumi.{request['stack']}.yaml",
        "fix": "",
        "exit_code": 1,
        "problems": [],
    }


def main() -> None:
    """Entry point: FILE_DESCRIPTOR REQUEST."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as pipe:

        def report(kind: str, body: Any) -> None:
            pipe.write(json.dumps([kind, body], default=str) + "\n")
            pipe.flush()

        work(json.loads(sys.argv[2]), report)


if __name__ == "__main__":
    main()

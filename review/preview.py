"""What the engine would do, read from `pulumi preview --json`. The change's own code ran in it: it is data, no more.

The engine prints its steps and its errors in one document, also when the preview fails; only what goes wrong before
it has read the project is on standard error alone.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from spec.project import PROJECT

Op = Literal["deleted", "replaced", "changed", "created"]
LONGEST_NAME = 200
"""The longest name of a resource, in characters, that a comment is sure to show; AWS takes no longer ones."""
LARGEST_BYTES = 50_000_000
_WORST_FIRST: tuple[Op, ...] = ("deleted", "replaced", "changed", "created")
# What the engine calls them (pulumi/pkg/v3/resource/deploy); none is left out, so that a new one is noticed.
_OPS: Mapping[str, Op | None] = {
    "same": None,
    "read": None,
    "refresh": None,
    "read-discard": None,
    "create": "created",
    "import": "created",
    "update": "changed",
    "replace": "replaced",
    "create-replacement": "replaced",
    "delete-replaced": "replaced",
    "read-replacement": "replaced",
    "import-replacement": "replaced",
    "discard-replaced": "replaced",
    "delete": "deleted",
    "discard": "deleted",
    "remove-pending-replace": "deleted",
}
# A replacement or removal of one of these loses data, an address or a host.
_GRAVE = ("Bucket", "Eip", "Instance", "LoadBalancer", "Parameter", "Volume")
_UNKNOWN = {
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
}
_ABSENT = object()
_WIDTH = 80  # characters of a value
_LINES = 6  # of a value of several lines
_DIFFED = 200_000  # characters: a longer value is named by its digest
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")
_PATH = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


class Unreadable(Exception):
    """It is no preview of the stack; the message says why, and may hold what a stranger wrote."""


@dataclass(frozen=True)
class Cause:
    """An input that differs: its path, and in one line what it was and will be, each shortened. `lines`: the parts of a
    value of several lines that differ, with `-` and `+`."""

    path: str
    values: str
    replaces: bool
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResourceChange:
    """What happens to one resource. `kept`: what is there today stays in AWS, though the program lets go of it."""

    name: str
    type: str
    op: Op
    protected: bool
    kept: bool
    causes: tuple[Cause, ...]

    @property
    def removes(self) -> bool:
        """Whether the resource of today goes."""
        return self.op in ("deleted", "replaced")

    @property
    def rank(self) -> tuple[Any, ...]:
        """The most dangerous first."""
        grave = self.removes and (self.protected or self.type.endswith(_GRAVE))
        return (not self.removes, self.kept, not grave, _WORST_FIRST.index(self.op), self.type, self.name)


@dataclass(frozen=True)
class Missing:
    """A preview that there should be, and why it is not there."""

    stack: str
    why: str


@dataclass(frozen=True)
class Preview:
    """A preview of a stack. `errors`: why it failed; what it shows is then not all.

    :ivar changes: the most dangerous first.
    """

    stack: str
    changes: tuple[ResourceChange, ...]
    unchanged: int
    errors: tuple[str, ...]

    @property
    def removed(self) -> list[ResourceChange]:
        return [one for one in self.changes if one.removes]

    def count(self, op: Op) -> int:
        return sum(one.op == op for one in self.changes)


def read_preview(path: Path, stack: str) -> Preview:
    """The preview in a file; what the engine wrote to standard error is beside it, as `.log`.

    :raises Unreadable: when it is missing, cut off, of another stack or project, or no preview at all.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Unreadable(f"it is larger than {LARGEST_BYTES // 1_000_000} MB")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise Unreadable("the run has not left one") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError:
        raise Unreadable(f"it is no complete JSON{_said(path)}") from None
    steps = document.get("steps", []) if isinstance(document, dict) else None
    diagnostics = document.get("diagnostics", []) if isinstance(document, dict) else None
    if not isinstance(steps, list) or not isinstance(diagnostics, list):
        raise Unreadable("it is not what `pulumi preview --json` prints")
    errors = tuple(dict.fromkeys(_errors(diagnostics)))
    if not steps and not errors:  # the engine prints `{}` when it cannot start
        raise Unreadable(f"the engine did not start{_said(path)}")
    changes = _changes(steps, stack)
    summary = _mapping(document.get("changeSummary"))
    for op in ("create", "update", "replace", "delete"):
        if not errors and summary.get(op, 0) != sum(step["op"] == op for step in steps):
            raise Unreadable(f"its summary counts other steps ({op}) than it has")
    unchanged = summary.get("same", 0)
    return Preview(stack, changes, unchanged if isinstance(unchanged, int) else 0, errors)


def _changes(steps: list[Any], stack: str) -> tuple[ResourceChange, ...]:
    found: dict[str, ResourceChange] = {}
    for step in steps:
        op, urn = (step.get("op"), step.get("urn")) if isinstance(step, dict) else (None, None)
        if not isinstance(op, str) or not isinstance(urn, str) or op not in _OPS:
            raise Unreadable(f"a step of it cannot be read (operation {str(op)[:40]})")
        parts = urn.split("::", 3)
        if len(parts) != 4 or parts[:2] != [f"urn:pulumi:{stack}", PROJECT]:
            raise Unreadable(f"{urn[:80]} is not of project {PROJECT}, stack {stack}")
        if len(parts[3]) > LONGEST_NAME:
            raise Unreadable(f"it has a resource whose name is longer than {LONGEST_NAME} characters")
        meant = _OPS[op]
        if meant is None:
            continue
        change = _change(step, meant, parts[2].rpartition("$")[2], parts[3])
        there = found.get(urn)
        if there is None or (_WORST_FIRST.index(meant), not change.causes) < (
            _WORST_FIRST.index(there.op),
            not there.causes,
        ):
            found[urn] = change  # a replacement may be told in several steps
    for step in steps:
        bare = found.get(step["urn"])
        if bare is not None and bare.op == "replaced" and not bare.causes:
            found[step["urn"]] = replace(bare, causes=tuple(_goes_with(step, found)))
    return tuple(sorted(found.values(), key=lambda one: one.rank))


def _goes_with(step: Mapping[str, Any], found: Mapping[str, ResourceChange]) -> Iterator[Cause]:
    """Why the engine replaces what the provider would leave: an input is of a resource that is replaced."""
    for path, urns in sorted(_mapping(_mapping(step.get("newState")).get("propertyDependencies")).items()):
        others = [found[urn] for urn in urns if urn in found] if isinstance(urns, list) else []
        for other in others:
            if other.removes:
                yield Cause(printable(path)[:_WIDTH], f"{other.name}, {other.type}, is replaced", replaces=True)


def _change(step: Mapping[str, Any], op: Op, type_: str, name: str) -> ResourceChange:
    old, new = _mapping(step.get("oldState")), _mapping(step.get("newState"))
    return ResourceChange(
        name=printable(name),
        type=_short_type(type_),
        op=op,
        protected=bool(old.get("protect")),
        kept=op in ("deleted", "replaced") and bool(old.get("retainOnDelete")),
        causes=tuple(_causes(step, _mapping(old.get("inputs")), _mapping(new.get("inputs")))) if old and new else (),
    )


def _causes(step: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    """The inputs that the provider says differ: those that replace the resource first."""
    detailed = _mapping(step.get("detailedDiff"))
    replacing = {path for path, one in detailed.items() if str(_mapping(one).get("kind")).endswith("-replace")}
    reasons = [r for r in step.get("replaceReasons") or [] if isinstance(r, str)]
    differ = [r for r in step.get("diffReasons") or [] if isinstance(r, str)]
    replacing.update(reasons)
    for path in sorted(detailed or {*reasons, *differ}, key=lambda one: (one not in replacing, one)):
        before, after = _value_at(old, path), _value_at(new, path)
        lines = tuple(_line_diff(before, after))
        yield Cause(printable(path)[:_WIDTH], f"{_shown(before)} → {_shown(after)}", path in replacing, lines)


def _value_at(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for name, index, key in _PATH.findall(path):
        if index:
            found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else _ABSENT
        else:
            found = found.get(name or key, _ABSENT) if isinstance(found, dict) else _ABSENT
    return found


def _shown(value: Any) -> str:
    """A value in one line, of a length that does not depend on it."""
    if value is _ABSENT or value is None:
        return "none"
    if isinstance(value, str) and value in _UNKNOWN:
        return "known after the update"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    plain = _readable(text)
    if len(plain) <= _WIDTH and "\n" not in text:
        return plain or '""'
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
    return f"{plain[: _WIDTH // 2].rstrip()}… ({len(text):,} characters, sha256 {digest})"


def _line_diff(before: Any, after: Any) -> Iterator[str]:
    """The first lines that differ of two texts of several lines, each cut to the width of a value."""
    old, new = _text_of(before), _text_of(after)
    if old is None or new is None or ("\n" not in old and "\n" not in new):
        return
    marked = [
        line
        for line in difflib.unified_diff(old.splitlines()[:2000], new.splitlines()[:2000], lineterm="", n=0)
        if line[:3] not in ("---", "+++") and not line.startswith("@@")
    ]
    for line in marked[:_LINES]:
        yield cut(_readable(line), _WIDTH)
    if len(marked) > _LINES:
        yield f"… {len(marked) - _LINES} more lines differ"


def _text_of(value: Any) -> str | None:
    """The text that a value is or, in base64, contains."""
    if not isinstance(value, str) or len(value) > _DIFFED:
        return None
    if "\n" in value or len(value) <= _WIDTH:
        return value
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _errors(diagnostics: list[Any]) -> Iterator[str]:
    """What the engine reports as errors, each in a line; of a stack trace its last one, which says what failed."""
    for one in diagnostics:
        message, severity = _mapping(one).get("message"), _mapping(one).get("severity")
        if severity != "error" or not isinstance(message, str):
            continue
        lines = [line.strip() for line in message.strip().removeprefix("error: ").splitlines() if line.strip()]
        if any(line.startswith("Traceback (") for line in lines):
            lines = lines[-1:]
        text = cut(printable(" ".join(lines)), 600)
        text = text.removeprefix("an unhandled error occurred: ")  # the language host says it again
        if text and text not in ("preview failed", "update failed"):
            urn = _mapping(one).get("urn")
            name = printable(urn.rpartition("::")[2])[:LONGEST_NAME] if isinstance(urn, str) else ""
            yield f"{name}: {text}" if name else text
    if any(_mapping(one).get("severity") == "error" for one in diagnostics):
        yield "the preview failed"


def _said(path: Path) -> str:
    """The last line that the engine wrote to standard error."""
    try:
        with path.with_suffix(".log").open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - 4000))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {cut(printable(lines[-1]), 300)}" if lines else ""


def printable(text: str) -> str:
    """In one line, without colours and without characters that hide or reorder others."""
    without_colours = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return "".join(c if c.isprintable() else " " for c in without_colours)


def _readable(text: str) -> str:
    """In one line, with the beginnings of digests."""
    return _DIGEST.sub(r"\1…", printable(text))


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _short_type(token: str) -> str:
    """`aws.ec2.Instance`, as the program writes it, of `aws:ec2/instance:Instance`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.rpartition(":")
    return cut(printable(".".join(part for part in (package, module.partition("/")[0], name) if part)), _WIDTH)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

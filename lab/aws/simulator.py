"""Asks the IAM simulator, a Node process that runs as long as the lab's API, whether a role may do something."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from lab import process
from spec.errors import HaError

_FOLDER = Path(__file__).with_name("iam-simulator")
_MOST_REMEMBERED = 2000
Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """May this principal do this action on this resource, given these policies and this context?"""

    principal_arn: str
    action: str
    resource_arn: str
    account_id: str
    identity_policies: Mapping[str, Document]
    """Policy documents of the role by name."""
    resource_policy: Document | None = None
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)

    def as_simulation(self) -> dict[str, Any]:
        """The question as the simulator takes it."""
        simulation: dict[str, Any] = {
            "request": {
                "principal": self.principal_arn,
                "action": self.action,
                "resource": {"resource": self.resource_arn, "accountId": self.account_id},
                "contextVariables": dict(self.context),
            },
            "identityPolicies": [{"name": name, "policy": policy} for name, policy in self.identity_policies.items()],
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        }
        if self.resource_policy is not None:
            simulation["resourcePolicy"] = self.resource_policy
        return simulation


@dataclass(frozen=True)
class Decision:
    """Allowed or not; `explicit` is true for a Deny, false when no Allow matches."""

    allowed: bool
    explicit: bool


class IamSimulator:
    """The simulator as a context manager. Safe to ask from several threads, one question at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._count = 0
        self._remembered: dict[str, Decision] = {}

    def __enter__(self) -> Self:
        """:raises HaError: when Node or the simulator's packages are not installed."""
        node = shutil.which("node", path=process.PATH) or shutil.which("node")
        if node is None:
            raise HaError("node is not installed", where="the lab's IAM simulator", fix="run `make setup`")
        if not (_FOLDER / "node_modules").is_dir():
            raise HaError(
                "the packages of the lab's IAM simulator are not installed",
                where=str(_FOLDER),
                fix="run `make setup`",
            )
        self._child = process.converse([node, _FOLDER / "index.mjs"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        child = self._child
        if child is not None and child.stdin is not None and child.stdout is not None:
            child.stdin.close()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()
        return False

    def decide(self, question: Question) -> Decision:
        """Answer a question. :raises RuntimeError: when the simulator refuses a policy or has ended."""
        simulation = question.as_simulation()
        key = json.dumps(simulation, sort_keys=True)
        with self._lock:
            if key not in self._remembered:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = self._ask(simulation)
            return self._remembered[key]

    def _ask(self, simulation: dict[str, Any]) -> Decision:
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            raise RuntimeError("the IAM simulator is not started")
        self._count += 1
        try:
            child.stdin.write(json.dumps({"id": self._count, "simulation": simulation}) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the IAM simulator ended with exit code {child.poll()}")
        answer = json.loads(line)
        if answer["id"] != self._count or "error" in answer:
            raise RuntimeError(f"the IAM simulator could not decide: {answer.get('error', answer)}")
        return Decision(allowed=answer["decision"] == "Allowed", explicit=answer["decision"] == "ExplicitlyDenied")

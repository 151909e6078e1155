"""What the project's program renders the lab's hosts from: settings and the lab's account."""

from __future__ import annotations

from collections.abc import Mapping

from components.host_files import Context, contexts
from spec.project import EXAMPLE_ACCOUNT_ID, PROJECT
from spec.scope import Scope
from spec.settings import Settings


def host_contexts(stack: str, settings: Settings) -> Mapping[str, Context]:
    """The context of each host of a stack in the lab, by its name."""
    scope = Scope.of(settings, partition="aws", account=EXAMPLE_ACCOUNT_ID, project=PROJECT, stack=stack)
    return contexts(scope, settings)

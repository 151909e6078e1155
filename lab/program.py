"""What the project's program renders the lab's hosts from: settings, release and the lab's account."""

from __future__ import annotations

from collections.abc import Mapping

from components.user_data import Context, contexts
from spec.project import EXAMPLE_ACCOUNT_ID, PROJECT, REPOSITORY
from spec.release import find_release
from spec.scope import Scope
from spec.settings import Settings
from spec.stack_file import stack_file


def host_contexts(stack: str, settings: Settings) -> Mapping[str, Context]:
    """The context of each host of a stack in the lab, by its name. :raises HaError: when its release is refused."""
    release = find_release(settings, REPOSITORY, source=stack_file(REPOSITORY, stack).name)
    scope = Scope.of(settings, partition="aws", account=EXAMPLE_ACCOUNT_ID, project=PROJECT, stack=stack)
    return contexts(scope, settings, release)

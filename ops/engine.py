"""Whether the program runs on an engine, and its hooks then."""

from __future__ import annotations

from pulumi.runtime import mocks
from pulumi.runtime import settings as engine_settings

from components.backups import FoundBuckets
from components.hosts import ChangeHooks
from spec.scope import Scope
from spec.settings import Settings


def hooks_of(scope: Scope, settings: Settings) -> ChangeHooks:
    """The hooks of this run of the program; none without an engine (estimates, unit tests), which they need.

    :raises HaError: when the artifact bucket cannot be read with the caller's credentials.
    """
    if not _on_an_engine():
        return ChangeHooks()
    # Late: boto3 takes a quarter of a second to load, and an estimate needs nothing of it.
    from ops.hooks import change_hooks

    return change_hooks(scope, settings)


def found_backup_buckets(scope: Scope) -> FoundBuckets:
    """What there is of the stack's backup buckets; nothing without an engine.

    :raises HaError: when one is not of this account and stack, when one of the stack is gone, or S3 does not say.
    """
    if not _on_an_engine():
        return FoundBuckets()
    from ops.backup_buckets import find

    return find(scope)


def _on_an_engine() -> bool:
    return not isinstance(engine_settings.get_monitor(), mocks.MockMonitor)

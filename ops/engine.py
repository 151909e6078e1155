"""Whether the program runs on an engine, and its hooks then."""

from __future__ import annotations

import time
from typing import Any, Final

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime import settings as engine_settings

from components.backups import FoundBuckets
from components.hosts import ChangeHooks
from spec.errors import HaError
from spec.scope import Scope
from spec.settings import Settings

_BUCKET: Final = "aws:s3/bucket:Bucket"
_READINGS, _PAUSE_S = 10, 0.5


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

    :raises HaError: when one is not of this account and stack, when one of the state is gone, or S3 does not say.
    """
    if not _on_an_engine():
        return FoundBuckets()
    from ops.backup_buckets import find

    return find(scope, _buckets_in_state())


def _buckets_in_state() -> frozenset[str]:
    """The names of the buckets in the stack's state. Those of a stack whose first update did not end are unknown."""
    name = "/".join((pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()))

    def read(what: str, key: str) -> dict[str, Any]:
        # A backend of files truncates the state to write it, so a reading at that moment finds nothing.
        for left in reversed(range(_READINGS)):
            try:
                return dict(pulumi.runtime.invoke(f"pulumi:pulumi:{what}", {key: name}).value["outputs"])
            except Exception as error:  # the SDK raises no other
                if not left:
                    raise HaError(
                        f"the engine does not say what the stack's state has: {error}",
                        where=f"the state of {name}",
                        fix="try again; `pulumi stack` shows whether the state can be read",
                    ) from None
                time.sleep(_PAUSE_S)
        raise AssertionError

    # The engine of a first preview breaks when it is asked for resources. It answers that there are no outputs.
    if not read("readStackOutputs", "name"):
        return frozenset()
    resources = read("readStackResourceOutputs", "stackName").values()
    return frozenset(str(one["outputs"]["bucket"]) for one in resources if one["type"] == _BUCKET)


def _on_an_engine() -> bool:
    return not isinstance(engine_settings.get_monitor(), mocks.MockMonitor)

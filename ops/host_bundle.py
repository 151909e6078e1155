"""A host's `ha-bundle` by Run Command: what the host lacks, a change of what it runs, that the change stays."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from ops.estate import CommandFailed, Estate, Instance
from ops.runs import printable
from spec.errors import HaError
from spec.pointer import Pointer

CHECK_S = 120
CHANGE_S = 420
"""Longer than `ha-bundle` takes to apply a change and, if that fails, to go back."""
CONFIRM_S = 60
BACK_S = 240


class HostRefused(HaError):
    """A host that cannot do what it was asked for, with its reason."""


def check(estate: Estate, instance: Instance, wanted: Pointer) -> Mapping[str, Any]:
    """Let the host download and verify what it will run. Returns `lacks`, packages, and `image`, empty on Debian's own.

    :raises HostRefused: when the bundle or the release is missing, damaged, of another tier, or does not fit.
    """
    return _ask(estate, instance, ["check", *_words(wanted)], CHECK_S)


def change(estate: Estate, instance: Instance, wanted: Pointer, replaces: Pointer, within_s: int) -> Mapping[str, Any]:
    """Apply what the host shall run. It goes back by itself unless it is confirmed within `within_s` seconds.

    Returns `state`: `applied`, or `back` or `failed` with `error`.

    :raises HostRefused: when the host refuses; nothing was changed.
    """
    asked = {
        "bundle": wanted.bundle,
        "release": wanted.release,
        "replaces": replaces.model_dump(),
        "within_s": within_s,
    }
    return _ask(estate, instance, ["change", json.dumps(asked)], CHANGE_S)


def confirm(estate: Estate, instance: Instance, wanted: Pointer) -> None:
    """What was applied stays. :raises HostRefused: when something else runs there."""
    _ask(estate, instance, ["confirm", *_words(wanted)], CONFIRM_S)


def back(estate: Estate, instance: Instance) -> Mapping[str, Any]:
    """End a change that is not confirmed now; waits until the host has gone back. Returns as `change`."""
    return _ask(estate, instance, ["back"], BACK_S)


def close(estate: Estate, instance: Instance) -> None:
    """Tell a host that its tier's pointer is written: from now on its boots believe the pointer."""
    _ask(estate, instance, ["close"], CONFIRM_S)


def _words(wanted: Pointer) -> list[str]:
    return [wanted.bundle, *([wanted.release] if wanted.release else [])]


def _ask(estate: Estate, instance: Instance, words: list[str], timeout_s: int) -> Mapping[str, Any]:
    done = estate.run(instance.instance_id, shlex.join(["ha-bundle", *words]), timeout_s=timeout_s)
    if done.exit_code != 0:
        said = printable(done.stderr or done.stdout).splitlines()
        raise HostRefused(
            said[-1] if said else f"ha-bundle {words[0]} ended with exit code {done.exit_code}",
            where=instance.host,
            fix="`ha status` shows what it runs",
        )
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise CommandFailed(f"ha-bundle {words[0]} printed no answer", where=instance.host)
    return answer

"""A host's `ha-bundle` by Run Command: what the host lacks, a change of what it runs, that the change stays."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.estate import CommandFailed, Estate, Instance
from ops.runs import printable
from spec.errors import HaError
from spec.pointer import Pointer
from spec.tiers import Tier

CHECK_S = 120
CONFIRM_S = 60
SETUP_S = 180
"""How long the set-up of a change may take."""
DATABASE_SETUP_S = 420
"""The same on a database host: it may hand over (150 s), and restart in maintenance (60 s, then 150 s)."""
INSTALL_S = 1500
"""The same when it installs packages: 25 minutes on a t3 without credits (docs/fidelity.md)."""
_SPARE_S = 60


class HostRefused(HaError):
    """A host that cannot do what it was asked for, with its reason."""


@dataclass(frozen=True)
class Lacks:
    """The packages that a host lacks for a bundle, and the golden image it was made from: empty on Debian's own."""

    packages: tuple[str, ...]
    image: str


@dataclass(frozen=True)
class Changed:
    """How a change ended: `applied`, `back`, or `failed` when the host could not go back either."""

    state: str
    error: str


def check(estate: Estate, instance: Instance, wanted: Pointer) -> Lacks:
    """Let the host download and verify what it will run.

    :raises HostRefused: when the bundle or the release is missing, damaged, of another tier, or does not fit.
    """
    answer = _ask(estate, instance, ["check", *_words(wanted)], CHECK_S)
    packages = answer.get("lacks")
    if not isinstance(packages, list):
        raise CommandFailed("ha-bundle check does not say which packages it lacks", where=instance.host)
    return Lacks(tuple(printable(str(one))[:100] for one in packages), printable(str(answer.get("image", "")))[:100])


def setup_s(tier: Tier, *, installs: bool) -> int:
    """How long the set-up of a change may take on a host of a tier; `installs`: it lacks packages."""
    usual_s = DATABASE_SETUP_S if tier is Tier.DB else SETUP_S
    return usual_s + INSTALL_S if installs else usual_s


def change(
    estate: Estate, instance: Instance, wanted: Pointer, replaces: Pointer, *, within_s: int, setup_s: int
) -> Changed:
    """Apply what the host shall run, in `setup_s` seconds at most. It goes back by itself unless it is confirmed within
    `within_s` seconds after that.

    :raises HostRefused: when the host refuses; nothing was changed.
    """
    asked = {
        "bundle": wanted.bundle,
        "release": wanted.release,
        "replaces": replaces.model_dump(),
        "within_s": within_s,
        "setup_s": setup_s,
    }
    # It applies the change and, if that fails, goes back.
    return _changed(_ask(estate, instance, ["change", json.dumps(asked)], 2 * setup_s + _SPARE_S))


def confirm(estate: Estate, instance: Instance, wanted: Pointer) -> None:
    """What was applied stays. :raises HostRefused: when something else runs there."""
    _ask(estate, instance, ["confirm", *_words(wanted)], CONFIRM_S)


def back(estate: Estate, instance: Instance, *, setup_s: int) -> Changed:
    """End a change that is not confirmed now; waits until the host has gone back."""
    return _changed(_ask(estate, instance, ["back"], setup_s + _SPARE_S))


def close(estate: Estate, instance: Instance) -> None:
    """Tell a host that its tier's pointer is written: from now on its boots believe the pointer."""
    _ask(estate, instance, ["close"], CONFIRM_S)


def again(estate: Estate, instance: Instance) -> None:
    """Let a host that never was ready boot with what its tier's pointer says now. :raises HostRefused: when it was."""
    _ask(estate, instance, ["again"], CONFIRM_S)


def _changed(answer: Mapping[str, Any]) -> Changed:
    return Changed(printable(str(answer.get("state", "")))[:20], printable(str(answer.get("error", ""))))


def _words(wanted: Pointer) -> list[str]:
    return [wanted.bundle, *([wanted.release] if wanted.release else [])]


def _ask(estate: Estate, instance: Instance, words: list[str], timeout_s: int) -> Mapping[str, Any]:
    done = estate.run(instance.instance_id, shlex.join(["ha-bundle", *words]), timeout_s=timeout_s)
    if done.exit_code != 0:
        said = printable(done.stderr or done.stdout).splitlines()
        raise HostRefused(
            said[-1].strip() if said else f"ha-bundle {words[0]} ended with exit code {done.exit_code}",
            where=instance.host,
            fix="`ha status` shows what it runs",
        )
    try:
        answer = json.loads(done.stdout)
    except (ValueError, RecursionError):  # a host's output is data: of any form, nested and long
        answer = None
    if not isinstance(answer, dict):
        raise CommandFailed(f"ha-bundle {words[0]} printed no answer", where=instance.host)
    return answer

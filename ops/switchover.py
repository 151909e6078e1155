"""Hands the primary over to its standby: refused where that would cost more than a moment, then waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel

from ops.estate import CommandResult, Estate
from ops.postgres import ADMIN_DATABASE, psql_command
from ops.status import Observation, database_of, observe
from spec.errors import HaError
from spec.tiers import Tier

MAX_LAG_BYTES: Final = 2**20
"""A standby that has more to replay than this is not handed the primary: writes would wait until it has."""
REDUNDANT_WITHIN_S: Final = 150.0
_POLL_S = 2.0
"""A look costs both hosts processor time, when requests that waited are being answered."""
_COMMAND_S = 90
"""Longer than the script's own time limit, which says more."""
# SSM gives what it runs to sh.
HAND_OVER: Final = f"bash -s <<'END'\n{Path(__file__).with_name('hand-over.sh').read_text(encoding='utf-8')}END\n"
_CHECKPOINT = psql_command(ADMIN_DATABASE, "checkpoint")

Say = Callable[[str], None]


class Switchover(BaseModel):
    """The document of `ha db switchover --json`.

    `primary` is a host's name before and after, `lag_bytes` what the standby had to replay when it began. Seconds count
    from the order: `writable_s` until the new primary had committed, as it saw that itself, `took_s` until the old one
    was its synchronous standby.
    """

    stack: str
    target: Literal["aws", "lab"]
    primary_before: str
    primary_after: str
    lag_bytes: int
    writable_s: float
    took_s: float


@dataclass(frozen=True)
class HandedOver:
    """A hand-over after which the new primary writes; whether it is redundant again is another question."""

    before: str
    after: str
    lag_bytes: int
    writable_s: float


def switchover(estate: Estate, say: Say) -> Switchover:
    """Hands the primary over and waits until it is redundant again.

    :raises HaError: when it is refused, and nothing was touched, or when it did not come to its end.
    """
    began = time.monotonic()
    done = hand_over(estate, say)
    say(f"{done.after} writes, {done.writable_s:.1f} s after the order; waiting for {done.before} as its standby")
    _await_redundancy(estate, done)
    return Switchover(
        stack=estate.stack,
        target=estate.target,
        primary_before=done.before,
        primary_after=done.after,
        lag_bytes=done.lag_bytes,
        writable_s=done.writable_s,
        took_s=round(time.monotonic() - began, 1),
    )


def hand_over(estate: Estate, say: Say) -> HandedOver:
    """Hands the primary over to its standby and waits until that one writes.

    :raises HaError: when it is refused, and nothing was touched, or when the standby does not write in time.
    """
    say("asking the database hosts")
    seen = {one.instance.host: one for one in observe(estate, [Tier.DB])}
    primary, standby, lag_bytes = _pair(list(seen.values()), estate)
    before, after = primary.instance.host, standby.instance.host
    say(f"{before} is the primary, {after} its standby ({lag_bytes} bytes behind): writing both to disk")
    _run(estate, primary, _CHECKPOINT)
    say(f"handing over from {before} to {after}")
    result = _run(estate, standby, HAND_OVER)
    return HandedOver(before, after, lag_bytes, int(result.stdout.split()[-1]) / 1000)


def _pair(seen: list[Observation], estate: Estate) -> tuple[Observation, Observation, int]:
    """The primary, its standby and how many bytes that one lags. :raises HaError: when they are not fit for it."""
    found = database_of(seen)
    by_host = {one.instance.host: one for one in seen}

    def refusal(what: str, fix: str = "`ha status` shows what is wrong; try again when it is healthy") -> HaError:
        return HaError(f"{what}, so nothing was handed over", where=f"{estate.stack} on {estate.target}", fix=fix)

    if found.primary is None:
        raise refusal("there is no primary")
    if found.standby is None:
        raise refusal(f"{found.primary} has no standby")
    if found.replication != "sync":
        raise refusal(f"{found.standby} is not in synchronous replication with {found.primary} ({found.replication})")
    lag_bytes = found.lag_bytes or 0
    if lag_bytes > MAX_LAG_BYTES:
        raise refusal(
            f"{found.standby} lags {lag_bytes} bytes behind {found.primary}, more than {MAX_LAG_BYTES}",
            "try again when it has caught up: `ha status` shows how far it is",
        )
    for one in (by_host[found.primary], by_host[found.standby]):
        if one.unsettled:
            raise refusal(f"{one.instance.host} is changing its state ({one.unsettled})")
    return by_host[found.primary], by_host[found.standby], lag_bytes


def _run(estate: Estate, on: Observation, script: str) -> CommandResult:
    done = estate.run(on.instance.instance_id, script, timeout_s=_COMMAND_S)
    if done.exit_code != 0:
        raise HaError(
            f"the hand-over failed: {(done.stderr or done.stdout).strip()[-400:]}",
            where=on.instance.host,
            fix="`ha status` shows who is primary now",
        )
    return done


def _await_redundancy(estate: Estate, done: HandedOver) -> None:
    deadline = time.monotonic() + REDUNDANT_WITHIN_S
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        found = database_of(observe(estate, [Tier.DB]))
        if (found.primary, found.standby, found.replication) == (done.after, done.before, "sync"):
            return
    raise HaError(
        f"{done.after} is the primary now, but {done.before} is not its synchronous standby after "
        f"{REDUNDANT_WITHIN_S:.0f} s",
        where=f"{estate.stack} on {estate.target}",
        fix="see docs/runbooks/DatabaseNotRedundant.md",
    )

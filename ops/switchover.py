"""A planned switchover of the database: refused when it would take long; otherwise waits until it is complete."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel

from ops.estate import CommandResult, Estate
from ops.lease import Lease
from ops.postgres import ADMIN_DATABASE, psql_command
from ops.runs import printable
from ops.status import Observation, database_of, observe
from spec.errors import HaError
from spec.tiers import Tier

MAX_LAG_BYTES: Final = 2**20
"""A standby with more than this to replay is not promoted: writes would wait until it has replayed it."""
REDUNDANT_WITHIN_S: Final = 150.0
_POLL_S = 2.0
"""Each poll costs both hosts processor time while they answer the requests that waited."""
_COMMAND_S = 90
"""Longer than the script's own timeout, whose message is more precise."""
# SSM runs commands with sh.
HAND_OVER: Final = f"bash -s <<'END'\n{Path(__file__).with_name('hand-over.sh').read_text(encoding='utf-8')}END\n"
# As in the host's own hand-over: a backup ends with the role, and the switch must not wait until that is noticed.
_READY = f"systemctl stop ha-backup-now.service 2>/dev/null; {psql_command(ADMIN_DATABASE, 'checkpoint')}"

Say = Callable[[str], None]


class Switchover(BaseModel):
    """The document of `ha db switchover --json`.

    `primary_before` and `primary_after` are hosts' names; `lag_bytes` is what the standby had to replay at the start.
    `writable_s`: from the request to the failover monitor until the new primary had committed, by its own clock.
    `took_s`: from the start of the command until the old primary was the synchronous standby.
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
    """The new primary accepts writes. It may not be redundant yet."""

    before: str
    after: str
    lag_bytes: int
    writable_s: float


def switchover(estate: Estate, lease: Lease, say: Say) -> Switchover:
    """Switch over and wait until the new primary is redundant, as the one operation on the estate.

    :raises HaError: when it is refused, and nothing was changed, or when it did not complete.
    """
    began = time.monotonic()
    with lease:
        done = hand_over(estate, say)
        say(f"{done.after} accepts writes after {done.writable_s:.1f} s; waiting until {done.before} is its standby")
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
    """Switch over to the standby and wait until it accepts writes. The caller holds the estate's lease.

    :raises HaError: when it is refused, and nothing was changed, or when the standby does not accept writes in time.
    """
    say("asking the database hosts")
    seen = {one.instance.host: one for one in observe(estate, [Tier.DB])}
    primary, standby, lag_bytes = _pair(list(seen.values()), estate)
    before, after = primary.instance.host, standby.instance.host
    say(f"{before} is the primary, {after} its standby ({lag_bytes} bytes behind): running checkpoints on both")
    _run(estate, primary, _READY)
    say(f"switching over from {before} to {after}")
    result = _run(estate, standby, HAND_OVER)
    return HandedOver(before, after, lag_bytes, int(result.stdout.split()[-1]) / 1000)


def _pair(seen: list[Observation], estate: Estate) -> tuple[Observation, Observation, int]:
    """The primary, its standby and the standby's lag in bytes. :raises HaError: when a switchover is not possible."""
    found = database_of(seen)
    by_host = {one.instance.host: one for one in seen}

    def refusal(what: str, fix: str = "`ha status` shows what is wrong; try again when it is healthy") -> HaError:
        return HaError(f"{what}: nothing was changed", where=f"{estate.stack} on {estate.target}", fix=fix)

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
            "try again when it has caught up; `ha status` shows its lag",
        )
    for one in (by_host[found.primary], by_host[found.standby]):
        if one.unsettled:
            raise refusal(f"{one.instance.host} is changing its state ({one.unsettled})")
    return by_host[found.primary], by_host[found.standby], lag_bytes


def _run(estate: Estate, on: Observation, script: str) -> CommandResult:
    done = estate.run(on.instance.instance_id, script, timeout_s=_COMMAND_S)
    if done.exit_code != 0:
        raise HaError(
            f"the switchover failed: {printable(done.stderr or done.stdout)[-400:]}",
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
        f"{done.after} is the primary now, but {done.before} did not become its synchronous standby within "
        f"{REDUNDANT_WITHIN_S:.0f} s",
        where=f"{estate.stack} on {estate.target}",
        fix="see docs/runbooks/DatabaseNotRedundant.md",
    )

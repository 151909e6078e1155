"""What happens around the replacement of a host: it hands over before anything of it is deleted, and the update goes on
only when the new one serves. A gate that failed, or that was never reached, is asked again by the next update.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final

from ops import objects
from ops.estate import CommandFailed, Estate, Instance
from ops.runs import printable
from ops.status import POLL_S, SETTLES_S, await_healthy
from ops.switchover import Say
from ops.troubles import troubles
from spec.errors import HaError
from spec.in_service import ESTATE_KEY
from spec.overrides import DESTROY, GATES

HAND_OVER_S: Final = 180
"""Longer than the hosts' own programs wait, so that theirs is the reason that is shown."""
GATE_S: Final = 1800
"""A host on Debian's own image installs its packages on a throttled processor: up to 25 minutes (docs/fidelity.md)."""


def estate_was_complete(s3: Any, bucket: str) -> bool:
    """Whether every host of the estate was in service once. Until then gates pass: hosts wait for each other."""
    return objects.read(s3, bucket, ESTATE_KEY).body is not None


@dataclass(frozen=True, kw_only=True)
class InServiceGate:
    """Gate and hand-over of the hosts of an estate that was complete."""

    estate: Estate
    say: Say

    def hand_over(self, host: str) -> None:
        """Make a host serve nothing that only one can serve. One that is gone or serves nothing counts as handed over.

        :raises HaError: when the estate would not serve without it, or may not; nothing was changed.
        """
        instance = self._instance(host)
        seen = await_healthy(self.estate, [], deadline_s=SETTLES_S)
        own = next((one for one in seen.hosts if one.name == host), None)
        others = troubles(seen) - {host}
        healthy = own is not None and own.healthy
        if healthy and others:
            raise self._refused(host, f"the estate is not redundant: {'; '.join(seen.problems)}")
        peers = [one.healthy for one in seen.hosts if own and one.role == own.role and one.name != host]
        # A host that cannot be asked may serve all the same, or be lost: its peer decides.
        if own is not None and own.state == "unreachable" and peers and not any(peers):
            raise self._refused(host, f"it cannot be asked, and no other {own.role} serves: {own.detail}")
        leads = host in (seen.database.primary, seen.cache.primary, seen.load_balancer.active)
        # A primary without a standby is not healthy by its own report, and serves.
        if leads and own is not None and peers and not any(peers):
            raise self._refused(host, f"it serves, and no other {own.role} is healthy: {'; '.join(seen.problems)}")
        # What fails a check of its own, such as a full disk, may be what all others depend on.
        serves = healthy or (leads and own is not None and own.state == "ready" and any(peers))
        if instance is None or not serves:
            self.say(f"{host} does not serve, so there is nothing to hand over")
            return
        self.say(f"{host} hands over")
        command = "f=/usr/local/lib/ha/hand-over; if [ -x $f ]; then $f; fi"
        done = self.estate.run(instance.instance_id, command, timeout_s=HAND_OVER_S)
        if done.exit_code != 0:
            raise HaError(
                f"it could not hand over: {printable(done.stderr or done.stdout)[-400:]}",
                where=host,
                fix=f"`ha status` shows what is wrong; nothing of the host was deleted. To pass all gates: {GATES}=off",
            )

    def _refused(self, host: str, why: str) -> HaError:
        return HaError(
            f"{host} is not taken out of service, because {why}",
            where=host,
            fix="`ha status` shows what is wrong. Repair that first, or pass all gates: "
            f"{GATES}=off. To destroy the estate: {DESTROY}=1 pulumi destroy --run-program",
        )

    def gate(self, host: str) -> None:
        """Wait until the estate is healthy with the new host in it. :raises HaError: when it is not in time."""
        self.say(f"{host}: waiting until it serves")
        began = time.monotonic()
        self._await_own(host, began + GATE_S)
        seen = await_healthy(self.estate, [host], deadline_s=max(0.0, began + GATE_S - time.monotonic()))
        if not seen.healthy:
            raise HaError(
                f"{host} does not serve within {GATE_S} s: {'; '.join(seen.problems)}",
                where=host,
                fix="`ha status` shows what is wrong; run `pulumi up` again when it is repaired: it waits again",
            )
        self.say(f"{host} serves after {time.monotonic() - began:.0f} s")

    def _await_own(self, host: str, deadline: float) -> None:
        """Waits until the host itself is healthy: to ask all of them again and again costs those that serve."""
        while time.monotonic() < deadline:
            instance = self._instance(host)
            with contextlib.suppress(CommandFailed):
                if instance is not None and self.estate.report(instance.instance_id).get("healthy") is True:
                    return
            time.sleep(POLL_S)

    def _instance(self, host: str) -> Instance | None:
        return next((one for one in self.estate.instances() if one.host == host), None)

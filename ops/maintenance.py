"""The maintenance page: while it is on, no visitor's request reaches the application."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from ops.estate import CommandFailed, Estate, Instance
from ops.host_job import last_line
from spec.errors import HaError
from spec.tiers import Tier

_TIMEOUT_S: Final = 100
"""Longer than ha-maintenance waits for the last worker of HAProxy."""


def on(estate: Estate, until: datetime, why: str) -> None:
    """Give visitors a page that says why and until when, on every load balancer. Requests that run go on: the caller
    waits for them. Again, it changes the time and the reason.

    :param until: with a time zone. Past it the page stays, and says that it takes longer than planned.
    :param why: 1 to 200 characters in one line, for visitors.
    :raises HaError: when a load balancer that is not stopped may still pass requests on. Others may have the page.
    """
    time = until.astimezone(UTC).isoformat(timespec="seconds")
    _on_all(
        estate,
        shlex.join(["ha-maintenance", "on", f"--until={time}", f"--why={why}"]),
        "visitors may still reach the application",
        "run it again when `ha status` shows the host healthy, or stop the host. To take the page away: "
        "`ha-maintenance off` on every load balancer",
    )


def off(estate: Estate) -> None:
    """Let visitors reach the application again. A host that is stopped keeps the page it had.

    :raises HaError: when a load balancer that is not stopped may still answer with the page. The others do not.
    """
    _on_all(
        estate,
        "ha-maintenance off",
        "visitors may still get the maintenance page",
        "run `ha-maintenance off` on the host, or stop it",
    )


def _on_all(estate: Estate, command: str, risk: str, fix: str) -> None:
    # One that is starting or stopping may serve.
    hosts = [one for one in estate.instances() if one.tier is Tier.LB and one.state != "stopped"]
    estate.prepare()

    def trouble(host: Instance) -> str:
        try:
            done = estate.run(host.instance_id, command, timeout_s=_TIMEOUT_S)
        except CommandFailed as failed:
            return failed.what
        return "" if done.exit_code == 0 else last_line(done) or f"it ended with exit code {done.exit_code}"

    with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
        troubles = dict(zip((one.host for one in hosts), pool.map(trouble, hosts), strict=True))
    failed = {host: why for host, why in troubles.items() if why}
    if failed:
        what = "; ".join(f"{host}: {why}" for host, why in failed.items())
        raise HaError(f"{risk}: {what}", where=", ".join(failed), fix=fix)

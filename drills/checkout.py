"""Whether the running hosts come from this checkout. If not, a result would name a commit that was not measured."""

from __future__ import annotations

from collections.abc import Mapping

from components.bundles import bundles
from components.host_files import Context
from ops.status import Status
from spec.errors import EXIT_USAGE, HaError


def refuse_other_bundles(seen: Status, wanted: Mapping[str, Context]) -> None:
    """:raises HaError: with exit code 2 when a host's bundle is not the one that this checkout makes."""
    digests = {tier.role: bundle.digest for tier, bundle in bundles(wanted.values()).items()}
    differing = sorted(host.name for host in seen.hosts if host.name not in wanted or host.bundle != digests[host.role])
    if differing:
        raise HaError(
            f"the bundle of {', '.join(differing)} is not that of this checkout: a result would name the wrong commit",
            where=f"{seen.stack} in the lab",
            fix="`ha lab up` applies this checkout",
            exit_code=EXIT_USAGE,
        )

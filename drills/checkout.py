"""Whether the running hosts come from this checkout. If not, a result would name a commit that was not measured."""

from __future__ import annotations

from collections.abc import Mapping

from components.bundles import bundles
from components.host_files import Context
from ops.status import Status
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier


def refuse_other_versions(seen: Status, wanted: Mapping[str, Context], release: str) -> None:
    """:raises HaError: with exit code 2 when a host's bundle or release is not the one that this checkout makes."""
    digests = {tier.role: bundle.digest for tier, bundle in bundles(wanted.values()).items()}
    releases = {Tier.APP.role: release}
    differing = sorted(
        host.name
        for host in seen.hosts
        if host.name not in wanted or (host.bundle, host.release) != (digests[host.role], releases.get(host.role, ""))
    )
    if differing:
        raise HaError(
            f"{', '.join(differing)}: what runs there is not of this checkout, so a result would name the wrong commit",
            where=f"{seen.stack} in the lab",
            fix="`ha lab up` applies this checkout",
            exit_code=EXIT_USAGE,
        )

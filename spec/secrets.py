"""The SSM parameters that the hosts create: which tiers may create each, and which may read it.

This program never knows a value. A host that needs one creates it if it does not exist; nobody may overwrite it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from spec.tiers import Tier


@dataclass(frozen=True)
class Parameter:
    """One parameter under `/ha/<stack>/`, or another path that is said; `secret` ones are SecureString."""

    name: str
    creators: frozenset[Tier]
    readers: frozenset[Tier]
    secret: bool = True


def _certificate_authority(owner: Tier, creators: set[Tier], clients: set[Tier]) -> tuple[Parameter, Parameter]:
    """A tier's private CA (key and certificate together), and the certificate alone for its clients."""
    return (
        Parameter(f"{owner}/ca", frozenset(creators), frozenset(creators)),
        Parameter(f"{owner}/ca-certificate", frozenset(creators), frozenset(creators | clients), secret=False),
    )


def _shared(name: str, *tiers: Tier, readers: Collection[Tier] = ()) -> Parameter:
    """A secret that the first host of `tiers` that needs it creates; `readers` only read it."""
    return Parameter(name, frozenset(tiers), frozenset([*tiers, *readers]))


PARAMETERS: tuple[Parameter, ...] = (
    # The failover monitor is a PostgreSQL server too, so it has the database tier's CA.
    # The sentinels, one of which is on the monitor, trust both CAs.
    *_certificate_authority(Tier.DB, {Tier.DB, Tier.MONITOR}, {Tier.APP, Tier.CACHE}),
    *_certificate_authority(Tier.CACHE, {Tier.CACHE}, {Tier.APP, Tier.MONITOR}),
    *_certificate_authority(Tier.APP, {Tier.APP}, {Tier.LB, Tier.MONITOR}),
    _shared("db/monitor-password", Tier.MONITOR, Tier.DB),
    _shared("db/replication-password", Tier.DB),
    _shared("db/app-password", Tier.DB, Tier.APP),
    _shared("cache/password", Tier.CACHE, Tier.APP),
    # Its user promotes and demotes and reads no session, so the monitor does not need `cache/password`.
    _shared("cache/sentinel-password", Tier.CACHE, Tier.MONITOR),
    _shared("app/session-secret", Tier.APP),
    _shared("app/admin-password", Tier.APP),
)

CIPHER_PASSPHRASE = _shared("cipher-passphrase", Tier.DB, readers=[Tier.RESTORE])
"""Of the backups. Under `Scope.backup_secrets_path`, as it outlives the stack, and the same in the copy's region."""


def parameter_prefix(project: str, stack: str) -> str:
    """The path of a stack's parameters, without a trailing slash."""
    return f"/{project}/{stack}"

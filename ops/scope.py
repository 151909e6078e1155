"""The scope of a running estate, by the account of the caller's credentials."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from ops.estate import Estate
from spec.errors import HaError
from spec.project import PROJECT
from spec.scope import Scope
from spec.settings import Settings


def scope_of(estate: Estate, settings: Settings) -> Scope:
    """:raises HaError: when AWS does not say whose the credentials are."""
    try:
        caller = estate.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise HaError(
            f"the account of the credentials is not known: {error}",
            where=f"{estate.target}, region {estate.region}",
            fix="check the credentials and the region",
        ) from None
    partition = str(caller["Arn"]).split(":")[1]
    return Scope.of(settings, partition=partition, account=caller["Account"], project=PROJECT, stack=estate.stack)

"""Names of buckets fit S3 for every stack and region."""

from __future__ import annotations

import re
from typing import get_args

import boto3

from spec.project import EXAMPLE_ACCOUNT_ID, PROJECT
from spec.scope import Scope
from spec.settings import Region
from spec.stack_file import STACK_NAME


def scope(stack: str, region: str, copy_region: str | None = None) -> Scope:
    return Scope(
        partition="aws",
        account=EXAMPLE_ACCOUNT_ID,
        region=region,
        project=PROJECT,
        stack=stack,
        artifact_bucket="any",
        backup_copy_region=copy_region,
    )


def test_the_names_of_backup_buckets_fit_s3_for_every_stack_and_region() -> None:
    (longest,) = (one.max_length for one in get_args(Region)[1].metadata if hasattr(one, "max_length"))
    stack = "a" * 20
    assert STACK_NAME.fullmatch(stack)
    assert not STACK_NAME.fullmatch(stack + "a")
    assert len(scope(stack, "r" * longest).backup_bucket) <= 63
    for region in boto3.session.Session().get_available_regions("s3"):
        assert len(region) <= longest
        # One label: a certificate of S3 covers no more.
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", scope(stack, region).backup_bucket)


def test_the_copy_is_in_the_second_region_and_secrets_are_outside_the_stacks_own() -> None:
    alone, copied = scope("dev", "us-east-1"), scope("dev", "us-east-1", "us-west-2")
    assert alone.backup_bucket == copied.backup_bucket == f"ha-dev-backups-{EXAMPLE_ACCOUNT_ID}-us-east-1"
    assert alone.backup_copy_bucket is None
    assert copied.backup_copy_bucket == f"ha-dev-backups-{EXAMPLE_ACCOUNT_ID}-us-west-2"
    assert alone.backup_secrets_path == "/ha-backups/dev"

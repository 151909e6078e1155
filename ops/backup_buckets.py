"""What there is of the stack's backup buckets: they outlive it, and a stack that is made again adopts them."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from components.backups import FoundBuckets
from ops import objects
from ops.runs import mapping
from spec.changes import IN_FORCE_KEY
from spec.errors import HaError
from spec.scope import Scope
from spec.tags import STACK_TAG

_MISSING = ("404", "NoSuchBucket")


def find(scope: Scope) -> FoundBuckets:
    """Ask S3 for them.

    :raises HaError: when one is not of this account and stack, when one of the stack is gone, or S3 does not say.
    """
    regions = {scope.backup_bucket: scope.region}
    if scope.backup_copy_bucket and scope.backup_copy_region:
        regions[scope.backup_copy_bucket] = scope.backup_copy_region
    own = _of_the_stack(scope)
    # By bucket, whether it has Object Lock; None: it does not exist.
    locks = {bucket: _locked(bucket, region, scope) for bucket, region in regions.items()}
    if gone := [bucket for bucket, locked in locks.items() if locked is None and bucket in own]:
        raise HaError(
            f"{' and '.join(gone)} is the stack's, but it does not exist: somebody deleted it",
            where="the backup buckets",
            fix=f"`pulumi refresh`, delete {objects.url(scope.artifact_bucket, IN_FORCE_KEY)}, `pulumi up`: it is made "
            "anew; then make a full backup (`ha db backup --full`)",
        )
    return FoundBuckets(
        left=frozenset(bucket for bucket, locked in locks.items() if locked is not None and bucket not in own),
        locked=frozenset(bucket for bucket, locked in locks.items() if locked),
    )


def _of_the_stack(scope: Scope) -> set[str]:
    """The buckets that the stack's last whole update had. Others may be in its state too: to import one of those
    again has no effect.
    """
    s3: Any = boto3.Session().client("s3", region_name=scope.region)
    body = objects.read(s3, scope.artifact_bucket, IN_FORCE_KEY).body
    if body is None:
        return set()
    settings = mapping(mapping(json.loads(body)).get("settings"))
    copied_to = mapping(settings.get("backups")).get("copy_region")
    had = {scope.backup_bucket}
    if scope.backup_copy_bucket and copied_to == scope.backup_copy_region:
        had.add(scope.backup_copy_bucket)
    return had


def _locked(bucket: str, region: str, scope: Scope) -> bool | None:
    s3: Any = boto3.Session().client("s3", region_name=region)
    owned = {"Bucket": bucket, "ExpectedBucketOwner": scope.account}
    try:
        s3.head_bucket(**owned)
        tags = _unless("NoSuchTagSet", s3.get_bucket_tagging, owned).get("TagSet", [])
        locked = bool(_unless("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration, owned))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _MISSING:
            return None
        raise HaError(
            f"S3 does not say whether there are backups of an earlier stack: {code}",
            where=f"the bucket {bucket}",
            fix=f"the account of the credentials must be {scope.account}, and their role needs s3:ListBucket, "
            "s3:GetBucketTagging and s3:GetBucketObjectLockConfiguration on the bucket; if it is another account's, "
            "choose another name for the stack",
        ) from None
    except BotoCoreError as error:
        raise HaError(
            f"S3 cannot be asked whether there are backups of an earlier stack: {error}",
            where=f"the bucket {bucket}",
            fix="check the credentials and the connection; try again",
        ) from None
    if {tag["Key"]: tag["Value"] for tag in tags}.get(STACK_TAG) != scope.stack:
        raise HaError(
            f"the bucket exists, and its tag {STACK_TAG} does not say that it is of the stack {scope.stack!r}",
            where=f"the bucket {bucket}",
            fix=f"if it has this stack's backups, tag it {STACK_TAG}={scope.stack}; otherwise choose another name for "
            "the stack",
        )
    return locked


def _unless(code: str, ask: Any, owned: dict[str, str]) -> dict[str, Any]:
    """The answer; empty if S3 answers with that error."""
    try:
        return dict(ask(**owned))
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
        return {}

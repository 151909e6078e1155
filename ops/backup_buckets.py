"""Which of the stack's backup buckets exist: they outlive it, and a stack that is made again adopts them."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from spec.errors import HaError
from spec.scope import Scope
from spec.tags import STACK_TAG


def existing(scope: Scope) -> frozenset[str]:
    """The names of those that exist.

    :raises HaError: when one is not of this account and stack, or S3 does not say.
    """
    wanted = {scope.backup_bucket: scope.region}
    if scope.backup_copy_bucket and scope.backup_copy_region:
        wanted[scope.backup_copy_bucket] = scope.backup_copy_region
    return frozenset(bucket for bucket, region in wanted.items() if _exists(bucket, region, scope))


def _exists(bucket: str, region: str, scope: Scope) -> bool:
    s3: Any = boto3.Session().client("s3", region_name=region)
    owned = {"Bucket": bucket, "ExpectedBucketOwner": scope.account}
    try:
        s3.head_bucket(**owned)
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(**owned)["TagSet"]}
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("404", "NoSuchBucket"):
            return False
        if code != "NoSuchTagSet":
            raise HaError(
                f"S3 does not say whether there are backups of an earlier stack: {code}",
                where=f"the bucket {bucket}",
                fix=f"the account of the credentials must be {scope.account}, and their role needs s3:ListBucket and "
                f"s3:GetBucketTagging on the bucket; if it is another account's, choose another name for the stack",
            ) from None
        tags = {}
    except BotoCoreError as error:
        raise HaError(
            f"S3 cannot be asked whether there are backups of an earlier stack: {error}",
            where=f"the bucket {bucket}",
            fix="check the credentials and the connection; try again",
        ) from None
    if tags.get(STACK_TAG) != scope.stack:
        raise HaError(
            f"the bucket exists, and its tag {STACK_TAG} does not say that it is of the stack {scope.stack!r}",
            where=f"the bucket {bucket}",
            fix=f"if it has this stack's backups, tag it {STACK_TAG}={scope.stack} and Name={scope.stack}-backups "
            f"(the copy: {scope.stack}-backups-copy); otherwise choose another name for the stack",
        )
    return True
